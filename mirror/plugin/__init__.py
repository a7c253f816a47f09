"""The plugin inside devpi-server, loaded through the entry point group `devpi_server`.

devpi stays the server, its storage and its replication. compat.py lists what we touch of it beyond its
hooks, and is asked before anything else is imported; wiring.py puts our parts into devpi.
"""

from functools import cache
from typing import Any

from pluggy import HookimplMarker

_implements = HookimplMarker("devpiserver")


@_implements(optionalhook=True)  # devpi-server 7 has another in its place
def devpiserver_storage_backend() -> None:
    """Called by each command of devpi-server before it opens the database; we bring no storage.

    Raises devpi's Fatal when this devpi-server is not one that we know.
    """
    _wiring().wire_commands()


@cache
def _wiring() -> Any:
    """The module, once it is certain that it knows this devpi-server: some commands call us five times."""
    # The process of parser_process.py imports this package, and is small without devpi-server.
    from mirror.plugin import compat

    compat.check()

    from mirror.plugin import wiring

    return wiring


_OPTIONS: dict[str, dict[str, Any]] = {
    "--upstream-host": {
        "metavar": "URL",
        "action": "append",
        "default": [],
        "help": "A host, such as https://files.example.com:8443, that upstreams may lead to although it has"
        " no public address or no https. May be given several times.",
    },
    "--monitoring": {
        "metavar": "FILE",
        "default": None,
        "help": "JSON that `mirror serve` writes: [metrics], [audit] and [[webhooks]] of mirror.toml.",
    },
    "--skip-upload-checks": {
        "action": "store_true",
        "help": "Take uploads as they come: archives that cannot be opened, or are something else than their"
        " names say, are listed for all who install.",
    },
    "--prune-max-size": {
        "metavar": "BYTES",
        "type": int,
        "help": "Keep the files that are cached from upstreams below this size: those that nobody has used"
        " for the longest time are removed.",
    },
    "--prune-unused-for": {
        "metavar": "SECONDS",
        "type": float,
        "help": "Remove cached files that nobody has used for so long.",
    },
    "--prune-keep-last": {
        "metavar": "N",
        "type": int,
        "default": 0,
        "help": "Keep the N newest versions of each project all the same.",
    },
}


@_implements
def devpiserver_add_parser_options(parser: Any) -> None:
    """Called by each command of devpi-server before it parses its arguments and its configuration file."""
    group = parser.addgroup("packhorse")
    for name, settings in _OPTIONS.items():
        group.addoption(name, **settings)


@_implements
def devpiserver_auth_denials(request: Any, acl: Any, user: Any, stage: Any) -> Any:  # noqa: ARG001 (devpi's)
    """Called for each permission that devpi asks about; what it answers is denied before all else."""
    from mirror.plugin.access import readers

    return readers.denials(request, stage)


@_implements
def devpiserver_pyramid_configure(config: Any, pyramid_config: Any) -> None:
    """Called once per server process, before devpi adds its own routes and views (which so come second).

    Raises devpi's Fatal when this devpi-server is not one that we know.
    """
    _wiring().wire(config, pyramid_config)
