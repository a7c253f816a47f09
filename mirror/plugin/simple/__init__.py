"""What a project page says: parsed, kept as rows, rendered. Pure; knows nothing of devpi's state."""
