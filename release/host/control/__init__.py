"""The agent's protocol: requests, gates, events."""
