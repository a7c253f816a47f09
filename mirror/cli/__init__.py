"""The `mirror` command: options in, one call each, results out."""
