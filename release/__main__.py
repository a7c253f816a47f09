"""Entry point of `python -m release`."""

from release.cli.main import main

main()
