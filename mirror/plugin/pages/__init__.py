"""Serve rendered project pages, and drop them before a write that changes them is answered."""
