"""One-off processes on hosts: pass on input, output and signals."""
