"""Audit log: who uploaded, deleted, pushed, yanked, changed or logged in, and what was denied."""
