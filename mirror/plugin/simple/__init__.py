"""Project pages: parsed, kept as rows, rendered. Pure; knows nothing of devpi's state."""
