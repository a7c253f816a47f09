"""A pytest plugin that runs devpi-server's own tests with our plugin loaded; see test_devpi_suite.py.

The suite's upstream is a fake HTTP client, which `UpstreamClient` is made to ask here; its pages have no
content type, which we refuse otherwise. It expects addresses of files relative to the index where ours,
which mean the same, are relative to the server. What is left out, and why, is LEFT_OUT.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import lru_cache
from typing import Any, cast

import httpx
import pytest
from devpi_server import config as devpi_config

from mirror import plugin
from mirror.plugin import wiring
from mirror.plugin.simple import content_types, file_rows, render
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.upstream import client, mirror_stage
from mirror.plugin.upstream.page_cache import PageCache
from mirror.plugin.upstream.parser_process import ParsedPage, ParseRequest, ParserProcess
from mirror.plugin.write_queue import WriteQueue

_LESS_THAN_ALL = (
    "expects 200 with what is left of a list when an upstream fails or sends no page; ours is 503"
)
_ONE_FORM = "expects an address and a form of its own for each installer; ours are the same for all"
_FOR_PEOPLE = "expects buttons and warnings on the page, which is for installers"
_INTERNALS = "looks into devpi's own fields of a mirror, which we leave empty, or expires them by hand"
_LOG = "expects lines in the log"


# Test function -> why it is left out (devpi-server 6.20.3).
LEFT_OUT = {
    **dict.fromkeys(
        (
            *("test_no_releases", "test_missing_package", "test_create_and_delete_mirror_index"),
            *("test_stale_nocache", "test_stale_nocache_inherit", "test_simple_project_yanked_true"),
            *("test_simple_project_pypi_egg", "test_simple_list", "test_simple_page_pypi_serial"),
            *("test_root_pypi", "test_indexroot_root_pypi", "test_delete_root", "test_simple_refresh"),
            *("test_upstream_not_reachable", "test_upstream_not_reachable_but_cache_still_returned"),
            *("test_pkgserv_remote_failure", "test_simple_project"),
        ),
        _LESS_THAN_ALL,
    ),
    **dict.fromkeys(
        (
            *("test_project_pep_691", "test_project_pep_691_multiple", "test_simple_project_absolute_url"),
            *("test_project_simple_results_for_installers", "test_simple_project_plain_info_for_installers"),
            "test_upload_and_simple_index_with_redirect",
        ),
        _ONE_FORM,
    ),
    **dict.fromkeys(("test_simple_refresh_inherited", "test_simple_blocked_warning"), _FOR_PEOPLE),
    **dict.fromkeys(
        (
            *("test_removed_release_for_version", "test_new_release_for_version", "test_yanked_release"),
            *("test_push_from_pypi_mirror_switch_to_use_external_urls", "test_download_release_error"),
            *("test_delete_mirror", "test_offline_requires_python", "test_offline_yanked"),
            *("test_file_server_fresh_instance", "test_cleanup_after_last_entry_deletion"),
            *("test_whitelisted_with_fetched_upstream", "test_delete_from_mirror"),
            "test_delete_package_from_mirror",
        ),
        _INTERNALS,
    ),
    **dict.fromkeys(
        ("test_auth_mirror_url_no_hash", "test_auth_mirror_url_with_hash", "test_simple_with_removed_base"),
        _LOG,
    ),
    **dict.fromkeys(
        ("test_core_metadata", "test_project_pep_691_core_metadata"), "expects metadata only with an option"
    ),
    "test_simplelinks_timeout": "expects an answer within 0.1 s, which a busy machine does not give",
    "test_auth_mirror_plugin": "expects the hook devpiserver_get_mirror_auth, which we do not call",
    "test_upload_and_delete_index": "expects 410 for a file of a deleted index; ours is 404",
}
# The suite turns the offline mode off while it prepares; ours is settled when the server starts.
LEFT_OUT_CLASS = "TestOfflineMode"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what is left out. Fails when something is left out that the suite has not got."""
    left = [item for item in items if _name(item) in LEFT_OUT or f"::{LEFT_OUT_CLASS}::" in item.nodeid]
    unknown = LEFT_OUT.keys() - {_name(item) for item in left}
    if unknown:
        raise pytest.UsageError(f"left out, but not there: {sorted(unknown)}")
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=left)


def _name(item: pytest.Item) -> str:
    return item.name.partition("[")[0]


_get_pluginmanager = devpi_config.get_pluginmanager
_read = ParserProcess.read
_as_html = render.as_html


class SuiteFetcher(client.UpstreamClient):
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
            raise client.GatewayError(503, "the suite's upstream is broken")
        body = getattr(said, "content", None) or (getattr(said, "text", None) or "").encode()
        answer = httpx.Response(
            said.status_code,
            headers={name: value for name, value in said.headers.items() if name.lower() != "content-length"},
            stream=httpx.ByteStream(body),
            request=httpx.Request(method, str(said.url), headers=asked),
        )
        client._refuse_error(answer)
        yield answer


def _read_untyped(reader: ParserProcess, answer: ParseRequest) -> ParsedPage:
    typed = replace(answer.body, content_type=answer.body.content_type or content_types.TEXT)
    return _read(reader, replace(answer, body=typed))


def _as_html_with_short_addresses(project: ProjectDetail, index: str) -> bytes:
    return _as_html(project, index).replace(f'href="{file_rows.ROOT}{index}/'.encode(), b'href="../../')


def _shared(stage: Any) -> mirror_stage.Services:  # noqa: ANN401 (devpi's own)
    """Some tests have no pyramid application, with which the plugin is set up."""

    def made() -> mirror_stage.Services:
        pages = PageCache(stage.xom.config.server_path / wiring.UPSTREAM, lambda _: nullcontext())
        return mirror_stage.Services(SuiteFetcher(stage.xom), _reader(), WriteQueue(stage.keyfs), pages)

    return cast("mirror_stage.Services", stage.xom.setdefault_singleton(*mirror_stage.SERVICES, factory=made))


@lru_cache(maxsize=1)
def _reader() -> ParserProcess:
    """One for all tests: each is a process."""
    return ParserProcess()


def _with_ours(*, load_entrypoints: bool = True) -> Any:  # noqa: ANN401 (pluggy's)
    manager = _get_pluginmanager(load_entrypoints=load_entrypoints)
    if not manager.is_registered(plugin):
        manager.register(plugin)
    return manager


devpi_config.get_pluginmanager = _with_ours
ParserProcess.read = _read_untyped  # type: ignore[assignment, method-assign]
setattr(wiring, "ParserProcess", _reader)  # noqa: B010 (mypy: not exported)
render.as_html = _as_html_with_short_addresses
mirror_stage.CachingStage._shared = property(_shared)  # type: ignore[assignment, method-assign]
setattr(wiring, "UpstreamClient", SuiteFetcher)  # noqa: B010 (mypy: not exported)
