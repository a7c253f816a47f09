"""Logins that views need, and the views that only root may use: reserved names, files changed upstream."""
