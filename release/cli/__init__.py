"""The `release` command: options in, one call each, results out."""
