"""Commands that bring releases to targets, and look into them."""
