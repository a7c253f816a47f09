"""What an administrator sees of a mirror: settings for the server, and readers of what it tells."""
