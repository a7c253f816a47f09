"""[[publishers]] of mirror.toml: CI jobs that may upload without a password."""
