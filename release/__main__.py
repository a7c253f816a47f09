"""The door for `python -m release`."""

from release.cli.main import main

main()
