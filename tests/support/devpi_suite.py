"""A pytest plugin that runs devpi-server's own tests with our plugin loaded; see test_devpi_suite.py.

The suite's upstream is a fake HTTP client, which `UpstreamClient` is made to ask here; its pages have no
content type, which we refuse otherwise. It expects addresses of files relative to the index where ours,
which mean the same, are relative to the server. What is left out, and why, is LEFT_OUT.
"""

import gc
import os
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from devpi_server import auth, model
from devpi_server import config as devpi_config
from devpi_server.httpclient import HTTPClient
from pluggy import _manager

from mirror import plugin
from mirror.plugin import wiring
from mirror.plugin.admin import logins
from mirror.plugin.pages.dropper import Dropper
from mirror.plugin.simple import content_types, file_rows, render
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.uploads import contents
from mirror.plugin.uploads.upload_stage import UploadStage
from mirror.plugin.upstream import client, mirror_stage
from mirror.plugin.upstream.allowed_hosts import AllowedHosts
from mirror.plugin.upstream.file_records.first_seen import FirstSeen
from mirror.plugin.upstream.page_cache import PageCache
from mirror.plugin.upstream.parser_process import ParsedPage, ParseRequest, ParserProcess
from mirror.plugin.upstream.services import SERVICES, Services
from mirror.plugin.write_queue import WriteQueue
from tests.support.servers import free_port

# Test function -> what it expects that we do otherwise (devpi-server 6.20.3).
LEFT_OUT = {
    # An upstream that fails or sends what is no page: 503, where devpi answers 200 with what is left.
    "test_create_and_delete_mirror_index": "no bytes at all taken for a project list",
    "test_delete_root": "the project list of root/pypi without an upstream",
    "test_get_mirror_whitelist_info_private_package": "the page of a project whose upstream fails",
    "test_indexroot_root_pypi": "the overview of root/pypi without an upstream",
    "test_inheritance_error_are_nop": "no links where one base of two fails",
    "test_mirror_index_patch": "the project list of a new mirror without an upstream",
    "test_mirror_settings_preserved": "the project list of an imported mirror without an upstream",
    "test_missing_package": "no bytes at all taken for a project list",
    "test_missing_plugin_index_config": "the project list of root/pypi without an upstream",
    "test_no_mirror_releases_touched": "the project list of an imported mirror without an upstream",
    "test_no_releases": "no bytes at all taken for a page without files",
    "test_root_pypi": "the overview of root/pypi without an upstream",
    "test_simple_list": "an empty page taken for one without files",
    "test_simple_page_pypi_serial": "an empty page taken for one without files",
    "test_simple_project": "an HTML page that says 404, for a client of 2013; ours is text",
    "test_simple_project_pypi_egg": "a page whose only link is no file of the project",
    "test_simple_project_yanked_true": "a page of JSON with a slash in a file name and hashes in a list",
    "test_simple_refresh": "the page of a project for text that is no page",
    "test_stale_nocache": "an empty page while the upstream fails for the first time",
    "test_stale_nocache_inherit": "an empty page while the upstream fails for the first time",
    "test_upstream_not_reachable_but_cache_still_returned": "versions while the upstream of a base fails",
    # The same with another status.
    "test_upstream_not_reachable": "502; ours is 503 with Retry-After",
    "test_pkgserv_remote_failure": "502; ours is 503 with Retry-After",
    "test_upload_and_delete_index": "410 for a file of a deleted index; ours is 404",
    "test_cache_remote_file_fails": "500 of a primary whose upstream fails; ours is 503",
    "test_pkg_read_permission": "410 for a file of a deleted index; ours is 404",
    "test_deleted_package": "the page of a project that its upstream has removed; ours is 404",
    # Our pages have one form and one address for all clients.
    "test_project_pep_691": "JSON at the address without a slash; ours redirects",
    "test_project_pep_691_multiple": "JSON at the address without a slash; ours redirects",
    "test_project_simple_results_for_installers": "a page at the address without a slash; ours redirects",
    "test_simple_project_plain_info_for_installers": "a call of devpi's own renderer",
    "test_simple_project_absolute_url": "a header that makes addresses absolute",
    "test_upload_and_simple_index_with_redirect": "a redirect that drops the slash",
    "test_simple_refresh_inherited": "a button on the page",
    "test_outside_url_nginx": "the list of users without a login",
    "test_simple_blocked_warning": "a warning on the page that is not a link",
    # Our pages have metadata (PEP 658) without devpi's option.
    "test_core_metadata": "metadata of mirrored files only with the option, by a hash of four characters",
    "test_project_pep_691_core_metadata": "no metadata without the option",
    # What devpi keeps of mirrors in its database, and when it asks.
    "test_cleanup_after_last_entry_deletion": "the projects of a mirror in the database",
    "test_delete_from_mirror": "the projects of a mirror in the database",
    "test_delete_mirror": "the projects of a mirror in the database",
    "test_delete_package_from_mirror": "the projects of a mirror in the database",
    "test_file_server_fresh_instance": "a mark of devpi's own cache after a file was served (it is served)",
    "test_mirror_stage_missing_file_ignored_for_subscribers": "the page of a project in the database",
    "test_offline_requires_python": "only files that are on the disk, by a switch at run time",
    "test_offline_yanked": "only files that are on the disk, by a switch at run time",
    "test_removed_release_for_version": "that expiring devpi's own cache makes a mirror ask again",
    "test_yanked_release": "that expiring devpi's own cache makes a mirror ask again",
    "test_whitelisted_with_fetched_upstream": "that expiring devpi's own cache makes a mirror ask again",
    "test_download_release_error": "an error of devpi's own client, word by word",
    "test_get_mirror_whitelist_info": "that a mirror is asked for a project whose page nobody wants",
    "test_has_mirror_base": "that a mirror is asked for a project whose page nobody wants",
    "test_get_simplelinks_perstage": "no projects while the primary does not answer; ours is 503",
    "test_iterfile_remote_error_size_mismatch": "a length that the suite's fake states, not its body",
    "test_include_mirrordata": "a yank without a reason as the empty text; ours is True, as PEP 691 has it",
    "test_streaming_differing_content_size": "the start of a wrong file, if it comes slowly",
    "test_auth_mirror_plugin": "the hook devpiserver_get_mirror_auth, which we do not call",
    # Lines of devpi's own client in the log, with a login made unreadable; ours never writes one.
    "test_auth_mirror_url_hidden_in_logs": "the address of the upstream in the log",
    "test_auth_mirror_url_no_hash": "the address of a file in the log",
    "test_auth_mirror_url_password_only": "the address of the upstream in the log",
    "test_auth_mirror_url_user_only": "the address of the upstream in the log",
    "test_auth_mirror_url_with_hash": "the address of a file in the log",
    "test_simple_with_removed_base": "the warning about a missing base three times for two pages",
    "test_indexes_acl": "the rights of an index for everybody; ours are for users",
    # How the application is made.
    "test_sro_skip_plugin": "that a hook is called a certain number of times",
    "test_version_info": "pyramid's application inside devpi's; ours is around it",
    # Fail without our plugin too, at least at times.
    "test_fetch_later_deleted": "a line in the log of a thread that may be later",
    "test_taglogger_default": "that no thread of another test's server writes to the log meanwhile",
    "test_large_upload": "an upload that a busy machine does not end in time",
    "test_doczip_uploaded_hook": "a call of a hook in a thread that may be later",
    "test_doczip_remove_hook": "a call of a hook in a thread that may be later",
    "test_push_from_pypi_fail": "the upstream's own 502; ours is 503, as for all that may pass",
    "test_simplelinks_timeout": "an answer within 0.1 s",
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
    # devpi's own takes ports that the kernel also gives to outgoing connections, before its nginx listens.
    setattr(sys.modules["test_devpi_server.plugin"], "get_open_port", lambda _: free_port())  # noqa: B010


def pytest_collection_finish() -> None:
    """Let the garbage collector leave alone what is imported: it would look through it all each time."""
    gc.freeze()


def pytest_runtest_setup() -> None:
    """Let indexes be ours from the start: some tests have no application, with which the plugin is wired."""
    model.User.MirrorStage = mirror_stage.CachingStage  # type: ignore[assignment, method-assign]
    model.PrivateStage = UploadStage  # type: ignore[misc]
    # Forty tests are anonymous where we want a login: those have tests in test_attack_anonymous.py.
    setattr(logins, "install", lambda _: None)  # noqa: B010 (so does mypy not mind)
    # Each application would leave a thread that reads the database, and logs it, every second until the end.
    setattr(Dropper, "start", lambda _: None)  # noqa: B010 (as above)


def _name(item: pytest.Item) -> str:
    return item.name.partition("[")[0]


_get_pluginmanager = devpi_config.get_pluginmanager
_read = ParserProcess.read
_as_html = render.as_html


class SuiteFetcher(client.UpstreamClient):
    """Asks the suite's fake HTTP client when there is one."""

    def __init__(self, xom: Any, hosts: AllowedHosts | None = None) -> None:  # noqa: ANN401 (devpi's own)
        super().__init__(xom, hosts or AllowedHosts((), Path(os.devnull)))
        self._xom = xom

    @contextmanager
    def stream(
        self,
        url: str,
        upstream: client.Upstream,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        whole: bool = True,
    ) -> Iterator[httpx.Response]:
        fake = self._xom.http
        if self.offline or not hasattr(fake, "url2response"):
            with super().stream(url, upstream, method=method, headers=headers, whole=whole) as answer:
                yield answer
            return
        asked = {**(headers or {}), **upstream.headers}
        said = fake(url, allow_redirects=True, extra_headers=asked)
        if said.status_code < 0:
            raise client.GatewayError(503, "the suite's upstream is broken")
        body = getattr(said, "content", None) or (getattr(said, "text", None) or "").encode()
        if not body and getattr(said, "raw", None) is not None:
            body = said.raw.read()
        answer = httpx.Response(
            said.status_code,
            headers={name: value for name, value in said.headers.items() if name.lower() != "content-length"},
            stream=httpx.ByteStream(body),
            request=httpx.Request(method, str(said.url), headers=asked),
        )
        client._refuse_error(answer, upstream)
        yield answer


def _read_untyped(reader: ParserProcess, answer: ParseRequest) -> ParsedPage:
    """The suite's pages have no content type, and some close no link."""
    content = answer.body.content.replace(b" /a>", b"></a>")
    body = replace(answer.body, content_type=answer.body.content_type or content_types.TEXT, content=content)
    return _read(reader, replace(answer, body=body))


def _as_html_with_short_addresses(project: ProjectDetail, index: str) -> bytes:
    return _as_html(project, index).replace(f'href="{file_rows.ROOT}{index}/'.encode(), b'href="../../')


def _shared(stage: Any) -> Services:  # noqa: ANN401 (devpi's own)
    """Some tests have no pyramid application, with which the plugin is set up."""

    def made() -> Services:
        vars(stage.xom.config.args).setdefault("threads", 50)  # an import has none
        pages = PageCache(stage.xom.config.server_path / wiring.UPSTREAM, lambda _: nullcontext())
        seen = FirstSeen(stage.xom.config.server_path / wiring.FIRST_SEEN)
        return Services(SuiteFetcher(stage.xom), _reader(), WriteQueue(stage.keyfs), pages, seen)

    return cast("Services", stage.xom.setdefault_singleton(*SERVICES, factory=made))


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
# Thousands of passwords are hashed; devpi's own parameters make minutes of that.
auth.pwd_context = auth.pwd_context.using(argon2__rounds=1, argon2__memory_cost=8, argon2__parallelism=1)
# A thousand servers are made in one process. Each would read the certificates of all authorities: half of
# the suite's time.
HTTPClient._ssl_context = ssl.create_default_context()  # type: ignore[assignment]
# Each also looks for hooks among all names of a dozen modules: a sixth of what is left.
setattr(_manager, "_static_hook_attr", cache(_manager._static_hook_attr))  # noqa: B010
ParserProcess.read = _read_untyped  # type: ignore[assignment, method-assign]
setattr(wiring, "ParserProcess", _reader)  # noqa: B010 (mypy: not exported)
render.as_html = _as_html_with_short_addresses
mirror_stage.CachingStage._shared = property(_shared)  # type: ignore[assignment, method-assign]
setattr(wiring, "UpstreamClient", SuiteFetcher)  # noqa: B010 (mypy: not exported)
setattr(contents, "check", lambda *_: None)  # noqa: B010 (its uploads are some bytes under a name)
