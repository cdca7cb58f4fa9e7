"""The `alsolike` command, one module for each group of commands."""
