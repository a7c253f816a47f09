"""Everything of devpi-server that the plugin touches beyond its hooks, and the check that it is still there.

devpi-server 7 renames most of it. A row is a dotted name with either the parameters that we rely on
(because we override the function or call it with them) or None (because we only read it).
"""

import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import devpi_server

from packhorse.errors import PackhorseError

Row = tuple[str, ...] | None

INTERNALS: Mapping[str, Row] = {
    # the two kinds of index, which are replaced: wiring.py
    "devpi_server.model.User.MirrorStage": None,
    "devpi_server.model.User._getstage": ("indexname", "index_type", "ixconfig"),
    "devpi_server.model.PrivateStage": ("xom", "username", "index", "ixconfig", "customizer_cls"),
    # mirror_stage.py
    "devpi_server.filestore.FileEntry": ("key", "meta"),
    "devpi_server.keyfs.KeyFS.get_key_instance": ("keyname", "relpath"),
    "devpi_server.keyfs.KeyFS.read_transaction": ("allow_reuse",),
    "devpi_server.keyfs.KeyFS.restart_read_transaction": ("self",),
    "devpi_server.keyfs.Transaction.on_commit_success": ("callback",),
    "devpi_server.main.XOM.get_singleton": ("indexpath", "key"),
    "devpi_server.main.XOM.set_singleton": ("indexpath", "key", "obj"),
    "devpi_server.main.XOM.setdefault_singleton": ("indexpath", "key", "factory"),
    "devpi_server.mirror.MirrorStage._get_remote_projects": ("projects_future",),
    "devpi_server.mirror.MirrorStage._load_cache_links": ("project",),
    "devpi_server.mirror.MirrorStage._list_projects_perstage": ("timeout",),
    "devpi_server.mirror.MirrorStage._list_projects_perstage_lock": None,
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
    "devpi_server.mirror.ProjectNamesCache.exists": ("self",),
    "devpi_server.mirror.ProjectNamesCache.is_expired": ("expiry_time",),
    "devpi_server.model.BaseStage.key_projsimplelinks": ("project",),
    "devpi_server.model.join_links_data": ("links", "requires_python", "yanked"),
    # upload_stage.py
    "devpi_server.model.BaseStage.get_linkstore_perstage": ("name", "version"),
    "devpi_server.model.PrivateStage._regen_simplelinks": ("project_input",),
    "devpi_server.model.PrivateStage.get_simplelinks_perstage": ("project",),
    "devpi_server.model.PrivateStage.get_versiondata_perstage": ("project", "version"),
    "devpi_server.model.PrivateStage.key_projversion": ("project", "version"),
    "devpi_server.model.PrivateStage.list_versions_perstage": ("project",),
    "devpi_server.model.PrivateStage.set_versiondata": ("metadata",),
    # invalidation.py
    "devpi_server.keyfs.KeyFS.import_changes": ("serial", "changes"),
    "devpi_server.keyfs.Transaction": ("keyfs", "at_serial", "write"),
    "devpi_server.keyfs.Transaction.commit": ("self",),
    "devpi_server.keyfs.Transaction.dirty": None,
    # fsync.py
    "devpi_server.filestore_fs.FSFactory.from_content": ("basedir", "file_path_info", "content_or_file"),
    # sqlite.py
    "devpi_server.keyfs_sqlite.BaseStorage.get_connection": ("closing", "write", "timeout"),
    "devpi_server.keyfs_sqlite.BaseConnection": ("sqlconn", "basedir", "storage"),
    # notifier.py
    "devpi_server.keyfs.TxNotificationThread._on_key_change": None,
    "devpi_server.keyfs.TxNotificationThread.write_event_serial": ("event_serial",),
    "devpi_server.model.EventSubscribers": ("xom",),
    "devpi_server.keyfs.KeyFS.get_current_serial": ("self",),
    "devpi_server.keyfs.TxNotificationThread.thread": None,
    "devpi_server.keyfs.TxNotificationThread.tick": ("self",),
    "devpi_server.mythread.MyThread.sleep": ("secs",),
    # password_cache.py
    "devpi_server.model.verify_and_update_password_hash": ("password", "pwhash", "salt"),
    # views.py
    "devpi_server.keyfs.KeyFS.get_connection": ("closing",),
    "devpi_server.keyfs.Transaction.doom": ("self",),
    "devpi_server.keyfs.Transaction.io_file": None,
    "devpi_server.keyfs_types.FilePathInfo": ("relpath", "hash_digest"),
    "devpi_server.mirror.MirrorCustomizer": None,
    "devpi_server.model.BaseStage.op_sro_check_mirror_whitelist": ("opname",),
    "devpi_server.model.BaseStage.sro": ("self",),
    "devpi_server.model.SimplelinkMeta": ("link_info",),
    "devpi_server.model.StageCustomizer": None,
    "devpi_server.model.apply_filter_iter": ("items", "filter_iter"),
    "devpi_server.views.INSTALLER_USER_AGENT": None,
    "devpi_server.views.apiresult": ("code", "message", "result"),
    "devpi_server.views.abort_if_invalid_project": ("request", "project"),
    # how devpi connects to upstreams: client.py
    "devpi_server.httpclient.HTTPClient._ssl_context": None,
    "devpi_server.httpclient.OfflineHTTPClient": None,
    "devpi_server.config.Config.offline_mode": None,
    "devpi_server.main.XOM.http": None,
    "devpi_server.main.XOM.new_http_client": ("component_name",),
    "devpi_server.mirror.MirrorStage.mirror_url": None,
    "devpi_server.mirror.MirrorStage.mirror_url_authorization_header": None,
    # downloads kept in devpi's storage: storage.py
    "devpi_server.filestore.BaseFileEntry._hash_spec": None,
    "devpi_server.filestore.BaseFileEntry.file_set_content": ("last_modified", "hash_spec", "hashes"),
    "devpi_server.filestore.BaseFileEntry.file_set_content_no_meta": ("hashes",),
    "devpi_server.filestore.BaseFileEntry.has_existing_metadata": ("self",),
    "devpi_server.filestore.Digests.get_default_value": ("default",),
    "devpi_server.filestore.FileStore.get_file_entry_from_key": ("key", "meta"),
    "devpi_server.keyfs.KeyFS.filestore_transaction": ("self",),
    "devpi_server.keyfs.KeyFS.write_transaction": ("self",),
    # requests for files and their metadata, and a replica's for pages: views.py, lookup.py, views.py
    "devpi_server.config.Config.primary_url": None,
    "devpi_server.main.XOM.is_replica": ("self",),
    "devpi_server.replica.ReplicaHTTPClient.get_extra_headers": ("extra_headers",),
    "devpi_server.filestore.BaseFileEntry.file_exists": ("self",),
    "devpi_server.filestore.BaseFileEntry.file_open_read": ("self",),
    "devpi_server.filestore.BaseFileEntry.file_os_path": ("self",),
    "devpi_server.filestore.FileStore.get_file_entry": ("relpath",),
    "devpi_server.mirror.MirrorStage.use_external_url": None,
    "devpi_server.views.PyPIView._pkgserv": ("entry", "is_metadata"),
    "devpi_server.views.PyPIView._relpath_from_request": ("self",),
    "devpi_server.views.PyPIView.mirror_pkgserv": (),
    "devpi_server.views.PyPIView.stage_pkgserv": (),
    "devpi_server.views.json_preferred": ("request",),
}


def check(touched: Mapping[str, Row] = INTERNALS, version: str = devpi_server.__version__) -> None:
    """Raise PackhorseError that names every row that this devpi-server does not have as we know it."""
    problems = list(changed(touched))
    if problems:
        raise PackhorseError(
            f"devpi-server {version} is not one that the packhorse plugin knows: {', '.join(problems)}",
            "Install a devpi-server within the bounds that packhorse declares (pip install 'packhorse').",
        )


def changed(touched: Mapping[str, Row]) -> Iterator[str]:
    """The rows that are missing or have other parameters, in words."""
    for name, parameters in touched.items():
        found = _find(name)
        if found is None:
            yield f"{name} is missing"
        elif parameters is not None and not set(parameters) <= set(inspect.signature(found).parameters):
            yield f"{name} has other parameters"


def _find(name: str) -> Any:
    """The object with this dotted name (module.Class.attribute), None when there is none.

    Annotated attributes without a value count: devpi declares what its constructors set.
    """
    module_name, _, rest = name.partition(".")
    found: Any = importlib.import_module(module_name)
    for part in rest.split("."):
        module_name = f"{module_name}.{part}"
        if inspect.ismodule(found) and not hasattr(found, part):
            try:
                found = importlib.import_module(module_name)
            except ModuleNotFoundError:
                return None
        elif hasattr(found, part):
            found = inspect.getattr_static(found, part)
            if isinstance(found, classmethod | staticmethod):
                found = found.__func__
        else:
            return _annotation(found, part)
    return found


def _annotation(owner: Any, name: str) -> Any:
    """What `owner` or a class that it is derived from declares about its attribute `name`."""
    classes = inspect.getmro(owner) if inspect.isclass(owner) else ()
    found = (inspect.get_annotations(each).get(name) for each in classes)
    return next((annotation for annotation in found if annotation), None)
