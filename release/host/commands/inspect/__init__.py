"""Commands that look at an application on this host, and change nothing."""
