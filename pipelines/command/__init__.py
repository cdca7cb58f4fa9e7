"""The `alsolike` command: options and words, one module for each group of commands."""
