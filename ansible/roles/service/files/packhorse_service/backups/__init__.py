"""Back up and restore the databases of this host, and bring copies elsewhere."""
