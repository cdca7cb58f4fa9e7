"""The steps put together: the pipeline, its runners and the `alsolike` command."""
