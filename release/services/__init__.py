"""Databases of release.toml from the developer's side: ask their hosts, compare, back up, bring back."""
