"""The package index: configure, start, fill, back up and watch it."""
