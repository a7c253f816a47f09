"""Which part of devpi gets which of our parts; the only file that wires."""

import gc
from pathlib import Path
from typing import Any

from devpi_server import model
from devpi_server.main import Fatal

from mirror.plugin import (
    commits,
    database,
    durable,
    entries,
    files,
    internals,
    kept_pages,
    listeners,
    logins,
    lookup,
    mirrors,
    passwords,
    yank_view,
)
from mirror.plugin.known_pages import KnownPages
from mirror.plugin.mirrors import Mirror
from mirror.plugin.page_reader import PageReader
from mirror.plugin.page_store import PageStore
from mirror.plugin.uploads import Uploads
from mirror.plugin.views import ProjectPages
from mirror.plugin.writes import Writes
from packhorse.errors import PackhorseError

# Below devpi's server folder: rendered pages, and what upstreams said.
PAGES, KNOWN = "+pages", "+upstream"


def wire(config: Any, pyramid_config: Any) -> None:
    """For the life of this process. Raises devpi's Fatal when this devpi-server is not one that we know."""
    try:
        internals.check()
    except PackhorseError as error:
        message = f"{error.message}\n{error.hint}"
        raise Fatal(message) from error
    xom = pyramid_config.registry["xom"]
    # A page makes ten thousands of objects and no cycles: Python would look for some at every 700 of them.
    gc.set_threshold(20_000, 20, 20)
    # devpi makes it when a first index is asked for: fifty threads would read the certificates at once.
    _ = xom.http
    store = PageStore(config.server_path / PAGES)
    writes = Writes(xom.keyfs)
    pages = KnownPages(config.server_path / KNOWN, store.changing)
    files.install(xom, pyramid_config, writes, pages)
    registry = pyramid_config.registry
    registry["packhorse database"] = database.use_wal(Path(config.server_path))
    database.keep_readers()
    durable.use()
    mirrors.use(xom, mirrors.Shared(registry[files.FETCHER], PageReader(), writes, pages))
    entries.use(pages)
    lookup.use()
    model.User.MirrorStage = Mirror  # type: ignore[assignment, method-assign]  # a cached property there
    model.PrivateStage = Uploads  # type: ignore[misc]  # User._getstage looks it up by this name
    if not config.requests_only:
        store.empty()
    commits.watch(xom.keyfs, store)
    listeners.be_patient(xom)
    passwords.use()
    logins.use()
    kept_pages.install(pyramid_config, store)
    ProjectPages(xom, store, registry[files.METADATA].completed).install(pyramid_config)
    yank_view.install(pyramid_config)
