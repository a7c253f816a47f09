"""Trusted publishing: ID tokens of CI jobs (OpenID Connect) are exchanged for short-lived upload tokens."""
