"""Names of devpi-server that the plugin touches beyond its hooks, and the check that they are still there.

devpi-server 7 renames most of them. A row is a dotted name with either the parameters that we rely on
(because we override the function or call it with them) or None (because we only read it).
"""

import importlib
import inspect
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any, NoReturn

import devpi_server

Row = tuple[str, ...] | None

MISSING, DECLARED = object(), object()
SHOWN = 3  # rows in the message: of another devpi-server, nearly all are missing
INTERNALS: Mapping[str, Row] = {
    # patches/database/database_keys.py
    "devpi_server.model.add_keys": ("xom", "keyfs"),
    # patches/database/export.py
    "devpi_server.importexport.Exporter": ("tw", "xom"),
    "devpi_server.importexport.Exporter.dump_all": ("path",),
    "devpi_server.importexport.Importer": ("tw", "xom"),
    "devpi_server.importexport.Importer.import_all": ("path",),
    "devpi_server.model.BaseStage.filestore": None,
    # patches/indexes/stages.py
    "devpi_server.main.XOM.get_singleton": ("indexpath", "key"),
    "devpi_server.main.XOM.set_singleton": ("indexpath", "key", "obj"),
    "devpi_server.model.PrivateStage": ("xom", "username", "index", "ixconfig", "customizer_cls"),
    "devpi_server.model.User.MirrorStage": None,
    "devpi_server.model.User._getstage": ("indexname", "index_type", "ixconfig"),
    # patches/indexes/file_entries.py, upstream/file_records/entries.py
    "devpi_server.filestore.BaseFileEntry.meta": None,
    "devpi_server.filestore.FileEntry": ("key", "meta"),
    "devpi_server.filestore.FileStore.get_file_entry": ("relpath",),
    "devpi_server.filestore.FileStore.keyfs": None,
    "devpi_server.keyfs.KeyFS.get_key_instance": ("keyname", "relpath"),
    "devpi_server.keyfs_types.RelPath": None,
    "devpi_server.keyfs_types.TypedKey.exists": ("self",),
    "devpi_server.keyfs_types.TypedKey.get": ("self",),
    "devpi_server.keyfs_types.TypedKey.get_mutable": ("self",),
    "devpi_server.keyfs_types.TypedKey.set": ("val",),
    "devpi_server.keyfs_types.TypedKey.update": ("self",),
    "devpi_server.main.XOM.filestore": None,
    # patches/views/file_views.py
    "devpi_server.config.Config.args": None,
    "devpi_server.views.PyPIView._pkgserv": ("entry", "is_metadata"),
    "devpi_server.views.PyPIView._relpath_from_request": ("self",),
    "devpi_server.views.PyPIView.mirror_pkgserv": (),
    "devpi_server.views.PyPIView.stage_pkgserv": (),
    "devpi_server.views.PyPIView.context": None,
    "devpi_server.views.PyPIView.request": None,
    "devpi_server.views.PyPIView.xom": None,
    "devpi_server.views.json_preferred": ("request",),
    # patches/views/version_views.py
    "devpi_server.readonly.get_mutable_deepcopy": ("val",),
    "devpi_server.views.PyPIView._make_view_verdata": ("verdata",),
    # upkeep/
    "devpi_server.filestore.BaseFileEntry.file_delete": ("self",),
    "devpi_server.keyfs_types.TypedKey.delete": ("self",),
    # patches/database/page_invalidation.py
    "devpi_server.keyfs.KeyFS.import_changes": ("serial", "changes"),
    "devpi_server.keyfs.Transaction": ("keyfs", "at_serial", "write"),
    "devpi_server.keyfs.Transaction.commit": ("self",),
    "devpi_server.keyfs.Transaction.dirty": None,
    "devpi_server.keyfs.Transaction.doomed": None,
    "devpi_server.keyfs.Transaction.on_commit_success": ("callback",),
    "devpi_server.keyfs.Transaction.write": None,
    "devpi_server.keyfs_types.TypedKey.name": None,
    "devpi_server.keyfs_types.TypedKey.params": None,
    # pinned_hashes.py
    "devpi_server.keyfs.Transaction.iter_relpaths_at": ("typedkeys", "at_serial"),
    # patches/views/json_bodies.py
    "devpi_server.views.abort": ("request", "code", "body"),
    "devpi_server.views.getjson": ("request",),
    # reservations.py, patches/indexes/reserved_names.py
    "devpi_server.keyfs.KeyFS.add_key": ("name", "path", "type"),
    "devpi_server.keyfs.KeyFS.get_key": ("name",),
    "devpi_server.keyfs.KeyFS.read_transaction": (),
    "devpi_server.model.BaseStage.get_whitelist_inheritance": ("self",),
    "devpi_server.model.BaseStage.list_projects": (),
    "devpi_server.model.BaseStage.op_sro": ("opname",),
    "devpi_server.model.ELink.get_logs": ("self",),
    "devpi_server.model.RootModel.get_userlist": ("self",),
    "devpi_server.model.User.getstages": ("self",),
    # patches/indexes/has_project.py
    "devpi_server.model.BaseStage.has_project": ("project",),
    # patches/views/project_list.py
    "devpi_server.views._select_simple_content_type": ("request",),
    # patches/views/refresh_view.py
    "devpi_server.views.PyPIView.simple_refresh": ("self",),
    "devpi_server.mirror.MirrorStage.clear_simplelinks_cache": ("project",),
    # patches/database/fsync.py
    "devpi_server.filestore_fs.FSFactory.from_content": ("basedir", "file_path_info", "content_or_file"),
    # patches/database/sqlite.py
    "devpi_server.keyfs.KeyfsTimeoutError": None,
    "devpi_server.keyfs_sqlite.BaseStorage.basedir": None,
    "devpi_server.keyfs_sqlite.BaseStorage.get_connection": ("closing", "write", "timeout"),
    "devpi_server.keyfs_sqlite.BaseStorage.sqlpath": None,
    "devpi_server.keyfs_sqlite_fs.Connection": ("sqlconn", "basedir", "storage"),
    "devpi_server.keyfs_sqlite_fs.Storage.Connection": None,
    # access.py
    "devpi_server.model.BaseStageCustomizer.get_principals_for_pkg_read": ("restrict_modify",),
    # connections/server.py
    "devpi_server.config.Config.waitress_info": None,
    # patches/database/notifier.py
    "devpi_server.config.Config.hook": None,
    "devpi_server.keyfs.KeyFS.get_current_serial": ("self",),
    "devpi_server.keyfs.KeyFS.notifier": None,
    "devpi_server.keyfs.TxNotificationThread._on_key_change": None,
    "devpi_server.keyfs.TxNotificationThread.cv_new_event_serial": None,
    "devpi_server.keyfs.TxNotificationThread.thread": None,
    "devpi_server.keyfs.TxNotificationThread.tick": ("self",),
    "devpi_server.keyfs.TxNotificationThread.write_event_serial": ("event_serial",),
    "devpi_server.model.EventSubscribers": ("xom",),
    "devpi_server.mythread.MyThread.sleep": ("secs",),
    # patches/logins/password_cache.py
    "devpi_server.model.verify_and_update_password_hash": ("password", "pwhash", "salt"),
    # patches/logins/login_throttle.py
    "devpi_server.auth.Auth._validate": ("authuser", "authpassword", "request"),
    "devpi_server.auth.hash_password": ("password",),
    "devpi_server.auth.verify_and_update_password_hash": ("password", "pwhash"),
    # patches/logins/proxied_clients.py
    "devpi_server.config.Config.get_replica_secret": ("self",),
    "devpi_server.replica.proxy_request_to_primary": ("xom", "request", "cstack"),
    # connections/early_passwords.py
    "devpi_server.auth.Auth.autocreate_users": None,
    "devpi_server.view_auth.DevpiSecurityPolicy.auth": None,
    "devpi_server.views.is_mutating_http_method": ("method",),
    # access/readers.py, patches/logins/own_tokens.py
    "devpi_server.replica.REPLICA_USER_NAME": None,
    "devpi_server.view_auth.RootFactory._stage": None,
    "devpi_server.view_auth.RootFactory.__acl__": None,
    "devpi_server.view_auth.RootFactory.username": None,
    # patches/views/redaction.py, uploads/yank.py
    "devpi_server.views.apiresult": ("code", "message", "result"),
    # patches/views/upload_view.py
    "devpi_server.views.PyPIView.pushrelease": (),
    "devpi_server.views.PyPIView.submit": (),
    "devpi_server.views.abort_submit": ("request", "code", "msg"),
    # uploads/upload_stage.py
    "devpi_server.filestore.BaseFileEntry.file_size": ("self",),
    "devpi_server.filestore.BaseFileEntry.last_modified": None,
    "devpi_server.keyfs.KeyFS.tx": None,
    "devpi_server.keyfs.Transaction.get_last_serial_and_value_at": (
        *("typedkey", "at_serial", "raise_on_error"),
    ),
    "devpi_server.model.BaseStage.NotFound": None,
    "devpi_server.model.BaseStage.add_project_name": ("project",),
    "devpi_server.model.BaseStage.SimpleLinks": None,
    "devpi_server.model.BaseStage.filter_projects": ("projects",),
    "devpi_server.model.BaseStage.get_mirror_whitelist_info": ("project",),
    "devpi_server.model.BaseStage.get_linkstore_perstage": ("name", "version"),
    "devpi_server.model.BaseStage.get_mutable_linkstore_perstage": ("name", "version"),
    "devpi_server.model.BaseStage.key_projsimplelinks": ("project",),
    "devpi_server.model.ELink.basename": None,
    "devpi_server.model.ELink.entry": None,
    "devpi_server.model.ELink.hashes": None,
    "devpi_server.model.ELink.matches_hashes": ("hashes",),
    "devpi_server.model.ELink.relpath": None,
    "devpi_server.model.LinkStore.get_links": ("rel", "basename"),
    "devpi_server.model.MutableLinkStore._mark_dirty": ("self",),
    "devpi_server.model.PrivateStage._regen_simplelinks": ("project_input",),
    "devpi_server.model.PrivateStage._set_versiondata": ("metadata",),
    "devpi_server.model.PrivateStage.del_project": ("project",),
    "devpi_server.model.PrivateStage.del_versiondata": ("project", "version", "cleanup"),
    "devpi_server.model.PrivateStage.get_last_change_serial_perstage": ("at_serial",),
    "devpi_server.model.PrivateStage.get_last_project_change_serial_perstage": ("project", "at_serial"),
    "devpi_server.model.PrivateStage.get_simplelinks_perstage": ("project",),
    "devpi_server.model.PrivateStage.get_versiondata_perstage": ("project", "version"),
    "devpi_server.model.PrivateStage.key_projversion": ("project", "version"),
    "devpi_server.model.PrivateStage.key_projversions": ("project",),
    "devpi_server.model.PrivateStage.list_versions_perstage": ("project",),
    "devpi_server.model.PrivateStage.set_versiondata": ("metadata",),
    "devpi_server.model.BaseStage.NonVolatile": None,
    "devpi_server.model.PrivateStage.store_releasefile": (
        *("project", "version", "filename", "content_or_file", "hashes", "last_modified"),
    ),
    "devpi_server.model.Rel": None,
    "devpi_server.model.join_links_data": ("links", "requires_python", "yanked"),
    "devpi_server.normalized.normalize_name": ("name",),
    # upstream/mirror_stage.py, upstream/project_list_stage.py
    "devpi_server.keyfs.KeyFS.restart_read_transaction": ("self",),
    "devpi_server.log.threadlog": None,
    "devpi_server.main.XOM.is_replica": ("self",),
    "devpi_server.main.XOM.replica_thread": None,
    "devpi_server.main.XOM.setdefault_singleton": ("indexpath", "key", "factory"),
    "devpi_server.markers.unknown": None,
    "devpi_server.mirror.MirrorStage._get_remote_projects": ("projects_future",),
    "devpi_server.mirror.MirrorStage._list_projects_perstage": ("timeout",),
    "devpi_server.mirror.MirrorStage._list_projects_perstage_lock": None,
    "devpi_server.mirror.MirrorStage._load_cache_links": ("project",),
    "devpi_server.mirror.MirrorStage._stale_list_projects_perstage": ("self",),
    "devpi_server.mirror.MirrorStage._update_projects": ("timeout",),
    "devpi_server.mirror.MirrorStage.cache_expiry": None,
    "devpi_server.mirror.MirrorStage.cache_projectnames": None,
    "devpi_server.mirror.MirrorStage.cache_retrieve_times": None,
    "devpi_server.mirror.MirrorStage.del_project": ("project",),
    "devpi_server.mirror.MirrorStage.delete": ("self",),
    "devpi_server.mirror.MirrorStage.get_simplelinks_perstage": ("project",),
    "devpi_server.mirror.MirrorStage.has_project_perstage": ("project",),
    "devpi_server.mirror.MirrorStage.ignore_serial_header": None,
    "devpi_server.mirror.MirrorStage.is_project_cached": ("project",),
    "devpi_server.mirror.MirrorStage.mirror_url_without_auth": None,
    "devpi_server.mirror.MirrorStage.no_project_list": None,
    "devpi_server.mirror.MirrorStage.offline": None,
    "devpi_server.mirror.MirrorStage.timeout": None,
    "devpi_server.mirror.ProjectNamesCache.add": ("project",),
    "devpi_server.mirror.ProjectNamesCache.exists": ("self",),
    "devpi_server.mirror.ProjectNamesCache.get": ("self",),
    "devpi_server.mirror.ProjectNamesCache.is_expired": ("expiry_time",),
    "devpi_server.main.XOM._stagecache": None,
    "devpi_server.mirror.ProjectUpdateCache._project2time": None,
    "devpi_server.mirror.ProjectUpdateCache.expire": ("project",),
    "devpi_server.mirror.ProjectUpdateCache.get_etag": ("project",),
    "devpi_server.mirror.ProjectUpdateCache.get_timestamp": ("project",),
    "devpi_server.mirror.ProjectUpdateCache.is_expired": ("project", "expiry_time"),
    "devpi_server.mirror.ProjectUpdateCache.refresh": ("project", "etag"),
    "devpi_server.model.BaseStage.UpstreamError": None,
    "devpi_server.model.BaseStage.UpstreamNotFoundError": None,
    # upstream/client.py
    "devpi_server.config.Config.request_timeout": None,
    "devpi_common.url.URL.asdir": ("self",),
    "devpi_common.url.URL.replace": (),
    "devpi_server.httpclient.HTTPClient._ssl_context": None,
    "devpi_server.httpclient.OfflineHTTPClient": None,
    "devpi_server.main.XOM.http": None,
    "devpi_server.main.XOM.new_http_client": ("component_name",),
    "devpi_server.mirror.MirrorStage.mirror_url": None,
    "devpi_server.mirror.MirrorStage.mirror_url_authorization_header": None,
    # pages/views.py, pages/dependencies.py
    "devpi_server.config.Config.offline_mode": None,
    "devpi_server.keyfs.KeyFS.get_connection": ("closing",),
    "devpi_server.keyfs.Transaction.at_serial": None,
    "devpi_server.keyfs.Transaction.doom": ("self",),
    "devpi_server.keyfs.Transaction.io_file": None,
    "devpi_server.keyfs_sqlite.BaseConnection.db_read_typedkey": ("relpath",),
    "devpi_server.keyfs_types.FilePathInfo": ("relpath", "hash_digest"),
    "devpi_server.main.XOM.model": None,
    "devpi_server.mirror.MirrorCustomizer": None,
    "devpi_server.model.BaseStage.customizer": None,
    "devpi_server.model.BaseStage.ixconfig": None,
    "devpi_server.model.BaseStage.key_projects": None,
    "devpi_server.model.BaseStage.op_sro_check_mirror_whitelist": ("opname",),
    "devpi_server.model.BaseStage.sro": ("self",),
    "devpi_server.model.BaseStage.user": None,
    "devpi_server.model.RootModel.getstage": ("user",),
    "devpi_server.model.SimplelinkMeta": ("link_info",),
    "devpi_server.model.StageCustomizer": None,
    "devpi_server.model.User.key": None,
    "devpi_server.model.apply_filter_iter": ("items", "filter_iter"),
    "devpi_server.views.INSTALLER_USER_AGENT": None,
    "devpi_server.views.abort_if_invalid_project": ("request", "project"),
    # files/storage.py
    "devpi_server.filestore.BaseFileEntry._hash_spec": None,
    "devpi_server.filestore.BaseFileEntry.file_set_content": ("last_modified", "hash_spec", "hashes"),
    "devpi_server.filestore.BaseFileEntry.file_set_content_no_meta": ("hashes",),
    "devpi_server.filestore.BaseFileEntry.has_existing_metadata": ("self",),
    "devpi_server.filestore.FileStore.get_file_entry_from_key": ("key", "meta"),
    "devpi_server.keyfs.KeyFS.filestore_transaction": ("self",),
    "devpi_server.keyfs.KeyFS.write_transaction": ("self",),
    "devpi_server.replica.ReplicaThread.shared_data": None,
    "devpi_server.replica.FileReplicationSharedData.errors": None,
    "devpi_server.replica.ReplicationErrors.remove": ("entry",),
    # files/views.py, metadata/views.py, files/downloads.py
    "devpi_server.config.Config.primary_url": None,
    "devpi_server.filestore.BaseFileEntry.basename": None,
    "devpi_server.filestore.BaseFileEntry.file_exists": ("self",),
    "devpi_server.filestore.BaseFileEntry.file_open_read": ("self",),
    "devpi_server.filestore.BaseFileEntry.file_os_path": ("self",),
    "devpi_server.filestore.BaseFileEntry.hashes": None,
    "devpi_server.filestore.BaseFileEntry.project": None,
    "devpi_server.filestore.BaseFileEntry.relpath": None,
    "devpi_server.filestore.BaseFileEntry.url": None,
    "devpi_server.filestore.Digests.get_default_value": ("default",),
    "devpi_server.mirror.MirrorStage.use_external_url": None,
    "devpi_server.replica.ReplicaHTTPClient.get_extra_headers": ("extra_headers",),
    "devpi_server.replica.ReplicaThread.H_REPLICA_FILEREPL": None,
    "devpi_server.replica.ReplicaThread.http": None,
    # patches/logins/own_password.py
    "devpi_server.views.PyPIView.user_patch": ("self",),
    # patches/logins/sessions.py
    "devpi_server.auth.Auth._get_auth_status": ("authuser", "authpassword", "request"),
    "devpi_server.auth.Auth.new_proxy_auth": ("username", "password", "request"),
    "devpi_server.auth.Auth.serializer": None,
    # patches/logins/token_limit.py
    "devpi_server.views.apireturn": ("code", "message"),
    # patches/logins/user_names.py
    "devpi_server.model.RootModel.get_user": ("name",),
    # patches/logins/token_identity.py
    "devpi_server.view_auth.DevpiSecurityPolicy._get_credentials": ("request",),
    "devpi_server.view_auth.DevpiSecurityPolicy.identity": ("request",),
    "devpi_server.view_auth.DevpiSecurityPolicy.identity_cache": None,
    "devpi_server.view_auth.DevpiSecurityPolicy.load_identity": ("request",),
    # upstream/devpi_client.py, patches/devpi_requests.py
    "devpi_server.httpclient.FatalResponse": ("url", "reason"),
    "devpi_server.httpclient.HTTPClient.client": None,
    "devpi_server.httpclient.HTTPClient.headers": None,
    "devpi_server.mirror.MirrorStage.http": None,
    # metrics/readiness.py, metrics/state.py
    "devpi_server.keyfs_sqlite.BaseConnection.last_changelog_serial": None,
    "devpi_server.main.XOM.polling_replicas": None,
    "devpi_server.replica.ReplicaThread.get_primary_serial": ("self",),
    "devpi_server.replica.ReplicaThread.update_from_primary_at": None,
    # wiring.py
    "devpi_server.config.Config.requests_only": None,
    "devpi_server.config.Config.server_path": None,
    "devpi_server.main.XOM.config": None,
    "devpi_server.main.XOM.keyfs": None,
}


def check(touched: Mapping[str, Row] = INTERNALS, version: str = devpi_server.__version__) -> None:
    """Raise devpi's Fatal, which says what to install, unless all of `touched` is as we know it."""
    problems = list(changed(touched))
    if problems:
        more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        fatal(
            f"devpi-server {version} is not one that the packhorse plugin knows:"
            f" {', '.join(problems[:SHOWN])}{more}.\n"
            f"Install one that it knows: pip install '{_requirement()}'"
        )


def fatal(message: str) -> NoReturn:
    """Let devpi end with this message, without a traceback."""
    from devpi_server.main import Fatal

    raise Fatal(message)


def _requirement() -> str:
    """The devpi-server that packhorse declares."""
    return next(line for line in metadata.requires("packhorse") or () if line.startswith("devpi-server"))


def changed(touched: Mapping[str, Row]) -> Iterator[str]:
    """The rows that are missing or have other parameters, in words."""
    for name, parameters in touched.items():
        found = find(name)
        if found is MISSING:
            yield f"{name} is missing"
        elif parameters is not None and not set(parameters) <= _parameters(found):
            yield f"{name} has other parameters"


def _parameters(found: Any) -> set[str]:
    try:
        return set(inspect.signature(found).parameters)
    except (TypeError, ValueError):  # a property, or a constant
        return set()


def find(name: str) -> Any:
    """The object with this dotted name (module.Class.attribute), MISSING when there is none.

    An attribute counts that its class only declares, or that its constructor sets.
    """
    first, *rest = name.split(".")
    found: Any = importlib.import_module(first)
    for part in rest:
        if inspect.ismodule(found):
            module = found.__name__
            found = vars(found).get(part, MISSING)
            if found is MISSING:
                found = _submodule(f"{module}.{part}")
        else:
            found = inspect.getattr_static(found, part, _declared(found, part))
        if isinstance(found, classmethod | staticmethod):
            found = found.__func__
    return found


def _submodule(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return MISSING


def _declared(owner: Any, name: str) -> Any:
    """DECLARED when `owner` or a base declares its attribute `name`, or a constructor sets it."""
    for each in inspect.getmro(owner) if inspect.isclass(owner) else ():
        constructor = getattr(vars(each).get("__init__"), "__code__", None)
        if name in inspect.get_annotations(each) or (constructor and name in constructor.co_names):
            return DECLARED
    return MISSING
