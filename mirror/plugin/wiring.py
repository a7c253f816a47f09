"""Build the parts of the plugin and put them into devpi; the only file that knows all of them."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import devpi_server
import httpx
from devpi_server.httpclient import HTTPClient
from prometheus_client import CollectorRegistry

from mirror import last_refresh
from mirror.monitoring_secrets import SecretError
from mirror.plugin import compat, error_views, read_only_views, reservations
from mirror.plugin.access import read_tokens, readers, search
from mirror.plugin.access.throttle import Throttle
from mirror.plugin.admin import (
    changed_file_views,
    declared_views,
    logins,
    reservation_views,
)
from mirror.plugin.admin.bundle_views import BundleViews, ProvenanceStores
from mirror.plugin.audit import events, tween
from mirror.plugin.audit.events import AuditLog
from mirror.plugin.connections import admission, early_passwords, server
from mirror.plugin.connections.dispatcher import FairDispatcher
from mirror.plugin.evidence.collector import PROJECTS, Collector, Sources
from mirror.plugin.evidence.provenance_objects import ProvenanceObjects
from mirror.plugin.evidence.store import EvidenceStore
from mirror.plugin.evidence.verifier import Verifier
from mirror.plugin.files.downloads import Downloads
from mirror.plugin.files.known_files import KnownFiles
from mirror.plugin.files.storage import DevpiStorage
from mirror.plugin.files.views import FileViews
from mirror.plugin.guards import declared_policies, first_seen_view, vulnerability_view, why_views
from mirror.plugin.guards.decision_log import DecisionLog
from mirror.plugin.guards.gathering import Gathering
from mirror.plugin.guards.guards import Guards, Records
from mirror.plugin.guards.known_vulnerabilities import VulnerabilityFile
from mirror.plugin.metadata import stored_wheel
from mirror.plugin.metadata.store import BY_URL, MetadataStore
from mirror.plugin.metadata.views import MetadataViews
from mirror.plugin.metrics import counters, readiness, state
from mirror.plugin.metrics import wsgi as monitoring
from mirror.plugin.metrics.readers import MetricsReaders
from mirror.plugin.pages import grant_view, wsgi
from mirror.plugin.pages.dropper import Dropper
from mirror.plugin.pages.legacy_views import LegacyViews
from mirror.plugin.pages.open_files import OpenFiles
from mirror.plugin.pages.store import PageStore
from mirror.plugin.pages.views import PageViews
from mirror.plugin.patches import certificates, devpi_requests, garbage_collection
from mirror.plugin.patches.database import database_keys, export, fsync, notifier, page_invalidation, sqlite
from mirror.plugin.patches.indexes import file_entries, has_project, reserved_names, stages
from mirror.plugin.patches.logins import (
    login_throttle,
    own_password,
    own_tokens,
    password_cache,
    proxied_clients,
    sessions,
    token_identity,
    token_limit,
    user_names,
)
from mirror.plugin.patches.views import (
    file_views,
    json_bodies,
    project_list,
    redaction,
    refresh_view,
    upload_view,
    version_views,
)
from mirror.plugin.publishing import issuer_keys, upload_tokens
from mirror.plugin.publishing import views as publishing_views
from mirror.plugin.publishing.issuer_keys import IssuerKeys
from mirror.plugin.publishing.used_tokens import UsedTokens
from mirror.plugin.upkeep import check_views
from mirror.plugin.upkeep import views as cached_file_views
from mirror.plugin.upkeep.cached_files import CachedFiles
from mirror.plugin.upkeep.limit import Limit, limits_of
from mirror.plugin.upkeep.removal import Removal
from mirror.plugin.upkeep.stored_files import StoredFiles
from mirror.plugin.uploads import misdirected, yank
from mirror.plugin.uploads.provenance_views import ProvenanceViews
from mirror.plugin.upstream import mirror_stage
from mirror.plugin.upstream.allowed_hosts import AllowedHosts, UpstreamTransport
from mirror.plugin.upstream.client import UpstreamClient
from mirror.plugin.upstream.file_records.first_seen import FirstSeen
from mirror.plugin.upstream.page_cache import PageCache
from mirror.plugin.upstream.parser_process import ParserProcess
from mirror.plugin.upstream.services import Services
from mirror.plugin.webhooks import delivery
from mirror.plugin.webhooks import views as webhook_views
from mirror.plugin.webhooks.sender import Webhooks
from mirror.plugin.write_queue import WriteQueue

# Folders of ours below devpi's server folder, which has "+files" of its own.
PAGES, UPSTREAM, DOWNLOADS, METADATA = "+pages", "+upstream", "+downloads", "+metadata"
FIRST_SEEN, DECISIONS, EVIDENCE, PROVENANCE = "+first-seen", "+decisions", "+evidence", "+provenance"
FILES = "+files"  # devpi's
ADVISORIES = "advisories.sqlite"  # beside that folder: `mirror advisories update` needs no server
TRUST_ROOT = "trusted_root.json"  # the same, of sigstore; without it, the one in the package counts
REFUSED = "+refused-hosts"  # a file, see AllowedHosts
USED = "+used-id-tokens.sqlite"


def wire_commands() -> None:
    """Wire each command of devpi-server, such as devpi-export, which makes no application."""
    database_keys.apply()
    stages.apply_to_uploads()
    export.apply(UPSTREAM, FIRST_SEEN)
    export.apply_to_import(FIRST_SEEN)


def wire(config: Any, pyramid_config: Any) -> None:
    """Wire one devpi-server process, for its whole life."""
    xom, folder = pyramid_config.registry["xom"], Path(config.server_path)
    logins.refuse_private_reads(config)
    read_only_views.install(pyramid_config)
    _patch(xom, folder)
    store = _rendered_pages(config, xom, folder)
    hosts = AllowedHosts(config.args.upstream_host, folder / REFUSED)
    metadata_store = MetadataStore(folder / METADATA)
    evidence = EvidenceStore(folder / EVIDENCE, store.changing)
    objects = ProvenanceObjects(folder / PROVENANCE)
    shared = _upstreams(
        xom, folder, hosts, store, partial(_forget_index, (metadata_store, evidence, objects))
    )
    pages = shared.pages

    cached = CachedFiles(xom, pages, folder)
    removal = Removal(cached, metadata_store, objects, pages)
    limit = Limit(limits_of(config.args), xom.keyfs, cached, removal, shared.writes)
    correct = partial(_correct, metadata_store, pages, evidence)
    storage = DevpiStorage(xom, shared.writes, pages, limit.stored, correct)
    known_files = KnownFiles(xom, pages, shared.writes)
    downloads = Downloads(shared.client, storage, folder / DOWNLOADS, known_files)
    metadata = MetadataViews(xom, shared.client, downloads, metadata_store, pages)
    sources = Sources(xom, shared.client, metadata, Verifier(folder.parent / TRUST_ROOT), objects)
    collector = Collector(sources, evidence, FairDispatcher(PROJECTS))
    guards = _guards(xom, folder, shared, Gathering(xom, evidence, collector))
    open_files = OpenFiles(store, folder / FILES, folder / METADATA / BY_URL)
    files = FileViews(xom, shared.client, downloads)
    file_views.apply(xom, file_views.Services(files, metadata, guards, open_files))

    _monitor(config, pyramid_config, xom, hosts)
    _receive(config, pyramid_config, store)
    _log_in(pyramid_config, xom, hosts)  # before pages: uv is shown one at any address of three parts
    ProvenanceViews(shared.client, objects, files, guards).install(pyramid_config)
    page_views = PageViews(xom, store, metadata.completed, guards)
    LegacyViews(xom, page_views, metadata, guards).install(pyramid_config)
    page_views.install(pyramid_config)
    misdirected.install(pyramid_config)
    _explain(pyramid_config, guards, store, shared)
    changed_file_views.install(pyramid_config, pages)
    cached_file_views.install(pyramid_config, cached, removal)
    BundleViews(xom, shared.parser, downloads, ProvenanceStores(objects, evidence)).install(pyramid_config)
    check_views.install(pyramid_config, StoredFiles(xom, cached), page_views, pages)
    _start(config, xom, limit)


def _start(config: Any, xom: Any, limit: Limit) -> None:
    """Start what one process alone may do: the server that writes, and takes more than requests."""
    if not (config.requests_only or xom.is_replica()):
        reservations.reserve_existing(xom)
        limit.start()


def _patch(xom: Any, folder: Path) -> None:
    """Change what devpi does by itself."""
    sqlite.apply(folder)
    notifier.apply(xom)
    for patch in (
        *(garbage_collection, fsync, password_cache, redaction, json_bodies, own_tokens, token_identity),
        *(upload_tokens, upload_view, refresh_view, project_list, has_project, reserved_names),
        *(user_names, own_password, sessions, token_limit),
    ):
        patch.apply()
    certificates.apply(xom)


def _rendered_pages(config: Any, xom: Any, folder: Path) -> PageStore:
    """An empty store of rendered pages, which writes to the database keep true."""
    store = PageStore(folder / PAGES)
    if not config.requests_only:
        store.empty()
        (folder / REFUSED).unlink(missing_ok=True)
    page_invalidation.apply(xom.keyfs, store)
    return store


def _upstreams(
    xom: Any, folder: Path, hosts: AllowedHosts, store: PageStore, forget: Callable[[str], None]
) -> Services:
    """Make what all caches of upstreams share, and put it into devpi's indexes."""
    devpi_requests.apply(xom, hosts)
    writes = WriteQueue(xom.keyfs)
    counters.QUEUE.labels("database").set_function(lambda: writes.waiting)
    shared = Services(
        UpstreamClient(xom, hosts),
        ParserProcess(),
        writes,
        PageCache(folder / UPSTREAM, store.changing),
        FirstSeen(folder / FIRST_SEEN),
        forget,
    )
    stages.apply(xom, shared)
    file_entries.apply(xom.filestore, shared.pages)
    return shared


def _forget_index(stores: Sequence[MetadataStore | EvidenceStore | ProvenanceObjects], index: str) -> None:
    for store in stores:
        store.remove_index(index)


def _correct(store: MetadataStore, pages: PageCache, evidence: EvidenceStore, entry: Any, path: Path) -> bool:
    """Believe the metadata of a wheel that has arrived more than what its upstream said of it."""
    changed = stored_wheel.correct(store, pages, entry, path)
    if changed:
        evidence.forget_license(f"{entry.user}/{entry.index}", entry.project, entry.basename)
    return changed


def _guards(xom: Any, folder: Path, shared: Services, gathering: Gathering) -> Guards:
    """Make the guards of policies, with the records that they judge by."""
    vulnerabilities, log = VulnerabilityFile(folder.parent / ADVISORIES), DecisionLog(folder / DECISIONS)
    return Guards(xom, Records(shared.pages, shared.first_seen, vulnerabilities, log, gathering))


def _receive(config: Any, pyramid_config: Any, store: PageStore) -> None:
    """Take requests: limits of connections, logins, pages that need no view, errors, and views of our own."""
    server.apply(config)
    wsgi.install(pyramid_config, store)
    for part in (
        *(early_passwords, admission, error_views, readers, read_tokens, search, logins, yank),
        *(reservation_views, declared_views, grant_view),
    ):
        part.install(pyramid_config)


def _log_in(pyramid_config: Any, xom: Any, hosts: AllowedHosts) -> None:
    """Throttle wrong passwords; exchange ID tokens for upload tokens: on a replica its primary does."""
    login_throttle.apply(Throttle())
    proxied_clients.apply()
    if xom.is_replica():
        publishing_views.install(pyramid_config, None)
        return
    client = None
    if not xom.config.offline_mode:
        context = xom.new_http_client("publishing")._ssl_context  # noqa: SLF001 (listed in compat.py)
        transport = UpstreamTransport(hosts, context, longest=issuer_keys.WAIT)
        client = httpx.Client(transport=transport, timeout=issuer_keys.WAIT / 2, follow_redirects=False)
    used = UsedTokens(Path(xom.config.server_path) / USED)
    verifier = publishing_views.Verifier(xom, IssuerKeys(client), used)
    publishing_views.install(pyramid_config, verifier)


def _explain(pyramid_config: Any, guards: Guards, store: PageStore, shared: Services) -> None:
    """Judge files in devpi's JSON views, say why some are not listed; drop pages when that changes."""
    version_views.apply(pyramid_config.registry["xom"], guards)
    why_views.install(pyramid_config, guards, shared.client)
    first_seen_view.install(pyramid_config, shared.first_seen)
    vulnerability_view.install(pyramid_config, guards.vulnerabilities)
    Dropper(store, guards.state, guards.uses_state).start()


def _monitor(config: Any, pyramid_config: Any, xom: Any, hosts: AllowedHosts) -> None:
    """Let administrators see what goes on, as the file of `--monitoring` says."""
    path, folder = config.args.monitoring, Path(config.server_path)
    settings = json.loads(Path(path).read_text()) if path else {}
    _measure(pyramid_config, xom, folder, settings)
    if "audit" in settings:
        _audit(pyramid_config, xom, settings["audit"])
    if settings.get("webhooks") and not (config.requests_only or xom.is_replica()):
        _webhooks(pyramid_config, hosts, settings)


def _measure(pyramid_config: Any, xom: Any, folder: Path, settings: Mapping[str, Any]) -> None:
    """Answer health, readiness and metrics. Raises devpi's Fatal for a wrong token file."""
    folders = (FILES, PAGES, UPSTREAM, DOWNLOADS, METADATA)
    sizes = state.Sizes({name.removeprefix("+"): folder / name for name in folders})
    own = CollectorRegistry()
    record = settings.get("last_refresh")
    refreshed = partial(last_refresh.read, Path(record)) if record else lambda: None
    own.register(state.StateCollector(xom, folder, sizes, partial(mirror_stage.confirmed, xom), refreshed))
    role = "replica" if xom.is_replica() else "primary"
    counters.INFO.labels(version("packhorse"), devpi_server.__version__, role).set(1)
    metrics = settings.get("metrics", {})
    token_file = metrics.get("token_file")
    try:
        readers = MetricsReaders(metrics.get("allow", ()), Path(token_file) if token_file else None)
    except SecretError as error:
        compat.fatal(str(error))
    checks = readiness.of_process(xom, folder)
    checks["policies"] = partial(declared_policies.problem, xom.keyfs)
    ready = readiness.Readiness(checks)
    monitoring.install(pyramid_config, ready, readers, (counters.REGISTRY, own))


def _audit(pyramid_config: Any, xom: Any, settings: Mapping[str, Any]) -> None:
    """Write the audit log. On a replica that has denials only: its primary has what is done."""
    log = AuditLog(Path(settings["folder"]), settings["max_size"] * 1_000_000, settings["keep"])
    log.repair()
    events.write_to(log)
    if not xom.is_replica():
        tween.install(pyramid_config)


def _webhooks(pyramid_config: Any, hosts: AllowedHosts, settings: Mapping[str, Any]) -> None:
    """Tell [[webhooks]] of mirror.toml about events. Raises devpi's Fatal for a wrong secret."""
    try:
        found = [delivery.webhook(each, os.environ) for each in settings["webhooks"]]
    except SecretError as error:
        compat.fatal(str(error))
    # Not of xom: offline, its client asks nobody, while receivers may be where the mirror is.
    devpi_client = HTTPClient(component_name="webhooks", timeout=None)
    transport = UpstreamTransport(hosts, devpi_client._ssl_context)  # noqa: SLF001 (listed in compat.py)
    client = httpx.Client(transport=transport, follow_redirects=False)
    webhooks = Webhooks(found, Path(settings["webhooks_folder"]), client)
    counters.QUEUE.labels("webhooks").set_function(lambda: sum(each.waiting for each in webhooks.senders))
    events.listen(webhooks.listen)
    webhook_views.install(pyramid_config, webhooks)
    webhooks.start()
