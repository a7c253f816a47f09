"""The agent: everything that happens on a server, run there as the application's own user."""
