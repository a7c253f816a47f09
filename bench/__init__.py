"""Benchmarks, one per module: each yields rows measured in one run, ours beside a named rival."""
