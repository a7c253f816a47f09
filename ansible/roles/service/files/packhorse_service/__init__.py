"""Databases of [services] on their host: logins, allowed clients, backups. Standard library only."""
