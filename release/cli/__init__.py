"""The `release` command: one module per group of commands."""
