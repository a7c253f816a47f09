"""The plugin inside devpi-server, loaded through the entry point group `devpi_server`.

devpi stays the server, its storage and its replication; what we touch of it beyond its hooks is listed,
and checked at start, in compat.py. wiring.py says which part of devpi gets which of our parts.
"""

from typing import Any

from pluggy import HookimplMarker


@HookimplMarker("devpiserver")
def devpiserver_pyramid_configure(config: Any, pyramid_config: Any) -> None:
    """Called once per process, before devpi adds its own routes and views (which so come second)."""
    # The process of parser_process.py imports this package, and is small without devpi-server.
    from mirror.plugin import wiring

    wiring.wire(config, pyramid_config)
