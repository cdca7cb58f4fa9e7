"""The pipelines, what runs them, and the `alsolike` command."""
