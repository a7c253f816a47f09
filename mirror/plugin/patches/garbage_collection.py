"""Let Python look for reference cycles less often: a page makes ten thousands of objects and no cycle."""

import gc


def apply() -> None:
    """Set the thresholds; Python's own are 700, 10, 10."""
    gc.set_threshold(20_000, 20, 20)
