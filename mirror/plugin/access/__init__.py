"""Who asks, and who may do what: clients and tokens."""
