"""The index: configure it, run it, fill it, guard it."""
