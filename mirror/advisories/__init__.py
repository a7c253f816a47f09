"""Known vulnerabilities (OSV) from a file on disk, and which versions of packages they affect."""
