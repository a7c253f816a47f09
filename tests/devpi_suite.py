"""A pytest plugin that runs devpi-server's own test-suite with ours loaded.

    pip download --no-deps --no-binary devpi-server devpi-server==6.20.3, unpack it, and in its folder,
    with webtest, beautifulsoup4 and pytest-asyncio installed and this repository in PYTHONPATH:
    pytest -p tests.devpi_suite test_devpi_server/test_mirror.py test_devpi_server/test_views.py

The suite's upstream is a fake HTTP client, which `Fetcher` is made to ask here; its pages have no
content type, which we refuse otherwise. What fails then, and why it may (6.20.3):
  * the very faults: 200 with what is left of a list when an upstream fails (upstream_not_reachable: 503
    instead of 502 and 200), 200 without files for a body that is no page (no_releases, simple_list,
    simple_refresh, simple_page_pypi_serial, yanked_true, pypi_egg, stale_nocache), an empty list of all
    projects (getpkglist, indexroot, delete_root), metadata only with an option (core_metadata);
  * one address and one form for all: redirects for installers (pep_691, for_installers, with_redirect),
    no absolute URLs (absolute_url), no buttons and warnings on pages (blocked_warning,
    refresh_inherited), another order of links (offline);
  * internals: the cache is expired by hand, which no request can do (removed_release, yanked_release),
    log lines (auth_mirror_url, removed_base), fakes below our own client (download_release_error,
    delete_mirror), and the hook devpiserver_get_mirror_auth, which we do not call (auth_mirror_plugin).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
from devpi_server import config

from mirror import plugin
from mirror.plugin import fetch, negotiate, upstream
from mirror.plugin.facts import ProjectFacts

_get_pluginmanager = config.get_pluginmanager
_read = upstream.read


class SuiteFetcher(fetch.Fetcher):
    """Asks the suite's fake HTTP client when there is one."""

    def __init__(self, xom: Any) -> None:  # noqa: ANN401 (devpi's own)
        super().__init__(xom)
        self._xom = xom

    @contextmanager
    def stream(
        self,
        url: str,
        authorization: str | None,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[httpx.Response]:
        fake = self._xom.http
        if self.offline or not hasattr(fake, "url2response"):
            with super().stream(url, authorization, method=method, headers=headers) as answer:
                yield answer
            return
        asked = {**(headers or {}), **({"Authorization": authorization} if authorization else {})}
        said = fake(url, allow_redirects=True, extra_headers=asked)
        if said.status_code < 0:
            raise fetch.Trouble(503, "the suite's upstream is broken")
        body = getattr(said, "content", None) or (getattr(said, "text", None) or "").encode()
        answer = httpx.Response(
            said.status_code,
            headers={name: value for name, value in said.headers.items() if name.lower() != "content-length"},
            stream=httpx.ByteStream(body),
            request=httpx.Request(method, str(said.url), headers=asked),
        )
        fetch._refuse_error(answer)
        yield answer


def _read_untyped(project: str, body: upstream.Body) -> ProjectFacts:
    return _read(project, body if body.content_type else replace(body, content_type=negotiate.TEXT))


def _with_ours(*, load_entrypoints: bool = True) -> Any:  # noqa: ANN401 (pluggy's)
    manager = _get_pluginmanager(load_entrypoints=load_entrypoints)
    if not manager.is_registered(plugin):
        manager.register(plugin)
    return manager


config.get_pluginmanager = _with_ours
upstream.read = _read_untyped
for module in (plugin.files, plugin.mirrors):
    setattr(module, "Fetcher", SuiteFetcher)  # noqa: B010 (mypy: not exported)
