"""Settings of servers: what `release provision` installs there besides the application."""
