"""Commands for a project on this machine: new, local, build, lock."""
