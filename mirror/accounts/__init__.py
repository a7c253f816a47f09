"""Users and tokens of the running mirror."""
