"""Changes to devpi-server itself: one module each with `apply()`, harmless when applied twice."""
