"""The indexes that files are uploaded to: what they know of a file, and yanks (PEP 592)."""
