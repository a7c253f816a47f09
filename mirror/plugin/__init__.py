"""The plugin inside devpi-server: which part of devpi gets which of our parts; the only file that wires.

Loaded through the entry point group `devpi_server`. devpi stays the server, its storage and its
replication; what we touch of it beyond its hooks is listed, and checked at start, in internals.py.
"""

from typing import Any, Protocol

from devpi_server.config import hookimpl
from devpi_server.main import Fatal

from mirror.plugin import files, internals
from packhorse.errors import PackhorseError


class Part(Protocol):
    """A module of this package that installs itself into one devpi-server process."""

    def install(self, xom: Any, pyramid_config: Any) -> None:
        """Register routes, views and tweens, and replace what internals.py lists for this part."""


# Routes match in the order in which they are added, ours before devpi's own.
PARTS: tuple[Part, ...] = (files,)


@hookimpl
def devpiserver_pyramid_configure(config: Any, pyramid_config: Any) -> None:  # noqa: ARG001 (pluggy goes by names)
    """Called once per process, before devpi adds its own routes and views."""
    try:
        internals.check()
    except PackhorseError as error:
        message = f"{error.message}\n{error.hint}"
        raise Fatal(message) from error
    xom = pyramid_config.registry["xom"]
    for part in PARTS:
        part.install(xom, pyramid_config)
