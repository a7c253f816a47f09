"""Commands that prepare for work without the upstream, or without a network."""
