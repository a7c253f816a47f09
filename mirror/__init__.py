"""The package index: configure, start, fill, back up and watch it."""

import sys

# httpx would load its own command, with rich and pygments, for 80 ms of each start; None lets that import
# fail, and httpx does without.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
