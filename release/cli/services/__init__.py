"""Commands on the databases of targets."""
