"""Deploy: bundle a model that passed, prove that it serves, and make it the current one."""
