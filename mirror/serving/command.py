"""Command line and environment of devpi-server, and which settings it reads at its start."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mirror import settings_hashes
from mirror.config import MirrorConfig, Prune
from mirror.serving import trust_store
from mirror.state import Folder, Serving
from packhorse import quantities

# The secret is 32 random bytes: stretching it, as devpi does for secrets that people chose, buys
# nothing and costs 5 seconds and 512 MB at every start (devpi_server/config.py, get_derived_key).
CHEAP_KEY = ["--argon2-memory-cost", "8192", "--argon2-time-cost", "1", "--argon2-parallelism", "1"]

# `python -m devpi_server` would end with status 0 when it cannot start: a supervisor must know.
# `mirror` comes first for what it spares.
_SERVER = ["-Ic", "import sys, mirror; from devpi_server.main import main; sys.exit(main())"]
TEMPORARY_SERVER = ["-Im", "mirror.serving.temporary_server"]

# devpi keeps a twentieth of these whatever their size: with its default of 10,000, a project of some
# thousand files (1 MB for each of its uploads) takes half a gigabyte of memory.
_CACHED_VALUES = "1000"

# What a server reads at its start, but for what options of `mirror serve` replace: it may have been started
# with them.
READ_AT_START = {
    *("outside_url", "request_timeout", "threads", "connections", "max_upload", "check_uploads"),
    *("metrics", "audit", "webhooks", "prune", "upstream.hosts"),
}


def arguments(config: MirrorConfig, folder: Folder, program: Sequence[str] = _SERVER) -> list[str]:
    """The argument list of devpi-server, without secrets."""
    outside = ["--outside-url", config.outside_url] if config.outside_url else []
    offline = ["--offline-mode"] if config.offline else []
    hosts = [argument for url in config.upstream.hosts for argument in ("--upstream-host", url)]
    unchecked = [] if config.check_uploads else ["--skip-upload-checks"]
    return [
        *[sys.executable, *program],
        *["--serverdir", str(folder.server)],
        *["--secretfile", str(folder.secret)],
        *CHEAP_KEY,
        *["--host", config.host],
        *["--port", str(config.port)],
        *["--threads", str(config.threads)],
        *["--connection-limit", str(config.connections)],
        *["--max-request-body-size", str(config.max_upload * 1_000_000)],
        *["--keyfs-cache-size", _CACHED_VALUES],
        *["--request-timeout", str(config.request_timeout)],
        *["--restrict-modify", "root"],
        *["--monitoring", str(folder.monitoring)],
        *outside,
        *offline,
        *hosts,
        *unchecked,
        *_limits(config.prune, folder.root),
    ]


def _limits(prune: Prune, folder: Path) -> list[str]:
    most = (
        [] if prune.max_size is None else ["--prune-max-size", str(quantities.size(prune.max_size, folder))]
    )
    unused_for = (
        [] if prune.unused_for is None else ["--prune-unused-for", str(quantities.seconds(prune.unused_for))]
    )
    return [*most, *unused_for, "--prune-keep-last", str(prune.keep_last)]


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of devpi-server: `inherited`, certificates to trust, a limit for malloc's arenas."""
    bundle = trust_store.path(inherited)
    trusted = {"REQUESTS_CA_BUNDLE": bundle} if bundle else {}
    # Otherwise each of a hundred threads keeps the megabytes of a large page it once rendered (mallopt(3)).
    return {"MALLOC_ARENA_MAX": "2", **inherited, **trusted}


def changed_since_start(config: MirrorConfig, now: Serving) -> list[str]:
    """The settings of `config` that differ from those `now` was started with, and wait for its restart."""
    return settings_hashes.differing(config, now.settings, READ_AT_START)
