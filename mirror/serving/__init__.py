"""The server: started, found, looked at, and nginx in front of it."""
