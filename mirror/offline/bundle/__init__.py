"""Bundles: folders with packages and a static index of them, made, extended, and loaded into a mirror."""
