"""Metrics for Prometheus, and the addresses that tell whether the server is up and may serve."""
