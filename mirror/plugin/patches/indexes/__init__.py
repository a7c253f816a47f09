"""Changes to devpi's indexes: their classes, which projects they show, and entries of files."""
