"""The files with which a project begins: release.toml, Procfile and what else `release build` needs."""
