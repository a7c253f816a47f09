"""Monitoring for administrators of a mirror: settings for the server, and readers of its logs and numbers."""
