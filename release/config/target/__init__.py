"""Settings of one target: its hosts, its processes, how its servers are prepared."""
