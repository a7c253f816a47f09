"""Benchmarks of releases and of what they run, beside the usual recipes."""
