"""Which part of devpi gets which of our parts; the only file that wires."""

import gc
from pathlib import Path
from typing import Any

from devpi_server import model
from devpi_server.main import Fatal

from mirror.plugin import compat
from mirror.plugin.files import lookup, views
from mirror.plugin.pages import invalidation, wsgi
from mirror.plugin.pages.store import PageStore
from mirror.plugin.pages.views import PageViews
from mirror.plugin.patches import fsync, notifier, password_cache, redaction, sqlite
from mirror.plugin.uploads import yank
from mirror.plugin.uploads.upload_stage import UploadStage
from mirror.plugin.upstream import entries, mirror_stage
from mirror.plugin.upstream.mirror_stage import CachingStage
from mirror.plugin.upstream.page_cache import PageCache
from mirror.plugin.upstream.parser_process import ParserProcess
from mirror.plugin.write_queue import WriteQueue
from packhorse.errors import PackhorseError

# Below devpi's server folder: rendered pages, and what upstreams said.
PAGES, KNOWN = "+pages", "+upstream"


def wire(config: Any, pyramid_config: Any) -> None:
    """For the life of this process. Raises devpi's Fatal when this devpi-server is not one that we know."""
    try:
        compat.check()
    except PackhorseError as error:
        message = f"{error.message}\n{error.hint}"
        raise Fatal(message) from error
    xom = pyramid_config.registry["xom"]
    # A page makes ten thousands of objects and no cycles: Python would look for some at every 700 of them.
    gc.set_threshold(20_000, 20, 20)
    # devpi makes it when a first index is asked for: fifty threads would read the certificates at once.
    _ = xom.http
    store = PageStore(config.server_path / PAGES)
    writes = WriteQueue(xom.keyfs)
    pages = PageCache(config.server_path / KNOWN, store.changing)
    views.install(xom, pyramid_config, writes, pages)
    registry = pyramid_config.registry
    registry["packhorse sqlite"] = sqlite.use_wal(Path(config.server_path))
    sqlite.keep_readers()
    fsync.use()
    mirror_stage.use(xom, mirror_stage.Services(registry[views.FETCHER], ParserProcess(), writes, pages))
    entries.use(pages)
    lookup.use()
    model.User.MirrorStage = CachingStage  # type: ignore[assignment, method-assign]  # a cached property there
    model.PrivateStage = UploadStage  # type: ignore[misc]  # User._getstage looks it up by this name
    if not config.requests_only:
        store.empty()
    invalidation.invalidate_on_commit(xom.keyfs, store)
    notifier.be_patient(xom)
    password_cache.use()
    redaction.use()
    wsgi.install(pyramid_config, store)
    PageViews(xom, store, registry[views.METADATA].completed).install(pyramid_config)
    yank.install(pyramid_config)
