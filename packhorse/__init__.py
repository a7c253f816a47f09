"""Code that both commands share: errors, settings, processes, files, the terminal."""
