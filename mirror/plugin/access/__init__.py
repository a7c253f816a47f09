"""Clients and their tokens: addresses, identities, limits."""
