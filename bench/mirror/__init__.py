"""Benchmarks of the mirror, beside stock devpi-server and installs without one."""
