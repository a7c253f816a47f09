"""What both commands share: errors with a way out, strict settings, processes, files, the terminal."""
