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

TOUCHED: Mapping[str, Row] = {
    # stages: replaced and read by upstream.py
    "devpi_server.model.User.MirrorStage": None,
    # how devpi connects to upstreams: fetch.py
    "devpi_server.httpclient.HTTPClient._ssl_context": None,
    "devpi_server.httpclient.OfflineHTTPClient": None,
    "devpi_server.main.XOM.new_http_client": ("component_name",),
    "devpi_server.mirror.MirrorStage.mirror_url": None,
    "devpi_server.mirror.MirrorStage.mirror_url_authorization_header": None,
    # downloads kept in devpi's storage: flights.py
    "devpi_server.filestore.BaseFileEntry._hash_spec": None,
    "devpi_server.filestore.BaseFileEntry.file_set_content": ("last_modified", "hash_spec", "hashes"),
    "devpi_server.filestore.BaseFileEntry.file_set_content_no_meta": ("hashes",),
    "devpi_server.filestore.BaseFileEntry.has_existing_metadata": ("self",),
    "devpi_server.filestore.Digests.get_default_value": ("default",),
    "devpi_server.filestore.FileStore.get_file_entry_from_key": ("key",),
    "devpi_server.keyfs.KeyFS.filestore_transaction": ("self",),
    "devpi_server.keyfs.KeyFS.write_transaction": ("self",),
    "devpi_server.mirror.MirrorStage.add_project_name": ("project",),
    # requests for files and their metadata: files.py, metadata.py
    "devpi_server.filestore.BaseFileEntry.file_exists": ("self",),
    "devpi_server.filestore.BaseFileEntry.file_open_read": ("self",),
    "devpi_server.filestore.BaseFileEntry.file_os_path": ("self",),
    "devpi_server.filestore.FileStore.get_file_entry": ("relpath",),
    "devpi_server.mirror.MirrorStage.use_external_url": None,
    "devpi_server.views.PyPIView._pkgserv": ("entry", "is_metadata"),
    "devpi_server.views.json_preferred": ("request",),
}


def check(touched: Mapping[str, Row] = TOUCHED, version: str = devpi_server.__version__) -> None:
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
        else:
            return inspect.get_annotations(found).get(part) if inspect.isclass(found) else None
    return found
