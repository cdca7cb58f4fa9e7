"""Deploy: bundle a model that has passed, test that it serves, and make it the current one."""
