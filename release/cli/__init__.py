"""The `release` command: a folder for each section of its help."""
