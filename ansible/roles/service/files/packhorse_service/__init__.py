"""What a host does for the databases of [services]: logins, who is let in, backups. Standard library only."""
