"""The list of all projects of an upstream, for who lists a mirror index: no installer does."""

import asyncio
from functools import partial
from typing import Any, cast

from devpi_server.mirror import MirrorStage

from mirror.plugin.upstream import client, page_request
from mirror.plugin.upstream.client import GatewayError, Upstream
from mirror.plugin.upstream.devpi_client import DevpiClient
from mirror.plugin.upstream.services import SERVICES, Services

REPLICA_EXPIRY = 60  # seconds: a replica's upstream is its primary, which knows more than it says


class ProjectListStage(MirrorStage):
    """devpi's mirror index, with a list of projects that is whole or an error."""

    # With a list that is never asked for, devpi asks for the project's own page.
    no_project_list = True

    @property
    def cache_expiry(self) -> float:
        """Seconds."""
        expiry = float(super().cache_expiry)
        return min(expiry, REPLICA_EXPIRY) if self.xom.is_replica() else expiry

    @property
    def _shared(self) -> Services:
        return cast("Services", self.xom.get_singleton(*SERVICES))

    @property
    def upstream(self) -> Upstream:
        """Server that is asked for pages: on a replica the primary."""
        return client.primary_of(self.xom) if self.xom.is_replica() else client.upstream_of(self)

    def _list_projects_perstage(self, *, timeout: float | None = None) -> Any:
        """The names, and whether they are old.

        devpi answers an error, a slow upstream and 304 with the few names that are cached, as if
        they were all (mirror.py, _update_projects).
        """
        names = self.cache_projectnames
        if self.offline or self.ixconfig.get("mirror_no_project_list"):
            return self._stale_list_projects_perstage(), True
        if names.is_expired(self.cache_expiry):
            with self._list_projects_perstage_lock:
                if names.is_expired(self.cache_expiry):
                    self._update_names(timeout)
        expired = names.is_expired(self.cache_expiry)
        if not names.exists() or (expired and not names.get()):
            raise GatewayError(503, f"the upstream of {self.name} does not give its list of projects")
        return names.get(), expired

    def _update_names(self, timeout: float | None) -> None:
        try:
            self._update_projects(timeout)
        except (ValueError, KeyError, TypeError) as error:
            raise GatewayError(
                503, f"the upstream of {self.name} gives no list of projects: {error}"
            ) from error

    @property
    def http(self) -> DevpiClient:  # type: ignore[override]
        """Client by which devpi gets the list of projects from the upstream, and files that are pushed."""
        return DevpiClient(self._shared.client, self.upstream)

    async def _get_remote_projects(self, projects_future: Any) -> None:
        """devpi finds no project on any page that has no links, and does not know an index from others."""
        await super()._get_remote_projects(projects_future)
        names, _ = projects_future.result()
        url = str(self.mirror_url_without_auth.url)
        ask = partial(page_request.lists_no_project, self._shared.client, url, self.upstream)
        if not names and not await asyncio.to_thread(ask):
            raise self.UpstreamError("%s is not the list of an index", url)

    def _stale_list_projects_perstage(self) -> Any:
        names = dict.fromkeys(self._shared.pages.projects(self.name))
        return {**super()._stale_list_projects_perstage(), **{name: name for name in names}}
