"""release.toml as frozen objects."""
