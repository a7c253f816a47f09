"""devpi's database with an index of uploads in this process: no server, no socket."""

from pathlib import Path
from typing import Any

from devpi_server.config import get_pluginmanager, parseoptions
from devpi_server.filestore import Digests
from devpi_server.main import XOM, set_state_version

from tests.support.dists import Dist, wheel


def open_database(folder: Path) -> Any:  # noqa: ANN401 (devpi is untyped)
    """devpi's `xom` for a new server folder, with the index company/dev."""
    arguments = ["devpi-server", "--serverdir", str(folder), "--role", "standalone"]
    config = parseoptions(get_pluginmanager(), arguments)
    config.init_nodeinfo()
    set_state_version(config)
    xom = XOM(config)
    with xom.keyfs.write_transaction():
        user = xom.model.create_user("company", None, pwhash="-")
        user.create_stage("dev", bases=())
    return xom


def upload(xom: Any, dist: Dist | str, *, stage: Any = None) -> None:  # noqa: ANN401 (devpi is untyped)
    """Store a wheel, or one of this version of "demo", on company/dev as a view of devpi's does."""
    dist = wheel("demo", dist) if isinstance(dist, str) else dist
    name, version = dist.filename.split("-")[:2]
    with xom.keyfs.write_transaction():
        index = (stage or index_of)(xom)
        index.set_versiondata({"name": name, "version": version, "metadata_version": "2.1"})
        index.store_releasefile(
            name, version, dist.filename, dist.content, hashes=Digests({"sha256": dist.sha256})
        )


def index_of(xom: Any) -> Any:  # noqa: ANN401 (devpi is untyped)
    """The index company/dev in the present transaction."""
    return xom.model.getstage("company/dev")


def shown(xom: Any, project: str = "demo") -> Any:  # noqa: ANN401 (devpi is untyped)
    """What is known of a project."""
    with xom.keyfs.read_transaction():
        return index_of(xom).facts(project)
