"""How the list of an uploaded project's files is stored, in a real database of devpi's."""

import base64
import zlib
from pathlib import Path
from typing import Any

import pytest
from devpi_server.model import PrivateStage

from mirror.plugin.simple import detail
from mirror.plugin.uploads import upload_stage, version_rows
from tests.support.devpi_database import index_of, open_database, shown, upload
from tests.support.dists import wheel


@pytest.fixture
def xom(tmp_path: Path) -> Any:  # noqa: ANN401 (devpi is untyped)
    """devpi's objects for a new database."""
    return open_database(tmp_path / "server")


def names(xom: Any, project: str = "demo") -> list[str]:  # noqa: ANN401 (devpi is untyped)
    return [file.filename for file in shown(xom, project).files]


def dist(version: str) -> str:
    return wheel("demo", version).filename


def written(xom: Any, serial: int) -> int:  # noqa: ANN401 (devpi is untyped)
    """Bytes of a transaction."""
    with xom.keyfs.get_connection() as connection:
        return len(connection.get_raw_changelog_entry(serial))


def test_an_upload_stores_no_more_in_a_project_of_many_versions(xom: Any) -> None:  # noqa: ANN401
    """devpi keeps each value for good: a nightly build would fill the disk with lists of all before it."""
    stored = []
    for number in range(120):
        upload(xom, f"1.{number}")
        stored.append(written(xom, xom.keyfs.get_current_serial()))
    few, many = sum(stored[10:30]), sum(stored[100:120])
    assert many < 2 * few
    assert shown(xom).versions == tuple(f"1.{number}" for number in range(120))
    assert names(xom) == [dist(f"1.{number}") for number in range(120)]


def test_deleted_versions_are_gone_and_a_project_with_its_last_one(xom: Any) -> None:  # noqa: ANN401
    """A new project of the name starts anew."""
    for number in range(40):
        upload(xom, f"1.{number}")
    for number in range(39):
        with xom.keyfs.write_transaction():
            index_of(xom).del_versiondata("demo", f"1.{number}")
    assert names(xom) == [dist("1.39")]
    with xom.keyfs.write_transaction():
        index_of(xom).del_versiondata("demo", "1.39")
    with xom.keyfs.read_transaction():
        assert not index_of(xom).has_project_perstage("demo")
        assert not index_of(xom).list_versions_perstage("demo")
        with pytest.raises(index_of(xom).NotFound):
            index_of(xom).del_versiondata("demo", "1.39")
    upload(xom, "2.0")
    assert names(xom) == [dist("2.0")]


def test_a_project_deleted_at_once_leaves_no_file(xom: Any) -> None:  # noqa: ANN401
    """Its files are removed from the disk, and none is left in the database."""
    for number in range(40):
        upload(xom, f"1.{number}")
    paths = [file.path for file in shown(xom).files]
    with xom.keyfs.write_transaction():
        index_of(xom).del_project("demo")
    with xom.keyfs.read_transaction() as tx:
        keys = [xom.keyfs.get_key(name) for name in (version_rows.PART, "PROJVERSION", "STAGEFILE")]
        assert not [each for each in tx.iter_relpaths_at(keys, tx.at_serial) if each.value is not None]
        assert not any(xom.filestore.get_file_entry(path).file_exists() for path in paths)
    assert names(xom) == []


def test_a_yank_and_an_upload_to_an_old_version_change_its_files_alone(xom: Any) -> None:  # noqa: ANN401
    """Both change a version that is not the last."""
    for number in range(3):
        upload(xom, f"1.{number}")
    other = wheel("demo", "1.0", tag="py3-none-win32")
    upload(xom, other)
    with xom.keyfs.write_transaction():
        index_of(xom).yank("demo", "1.1", yanked="broken")
    assert names(xom) == [dist("1.0"), other.filename, dist("1.1"), dist("1.2")]
    assert [file.yanked for file in shown(xom).files] == [False, False, "broken", False]
    assert all(file.core_metadata and file.size for file in shown(xom).files)


def of_devpi_alone(xom: Any) -> Any:  # noqa: ANN401 (devpi is untyped)
    """The index as devpi has it without our plugin."""
    ours = index_of(xom)
    (stock,) = (each for each in type(ours).__mro__[1:2])
    assert stock.__module__ == "devpi_server.model"
    return stock(xom, "company", "dev", ours.ixconfig, type(ours.customizer))


@pytest.mark.parametrize("packed", [True, False])
def test_projects_stored_before_there_were_parts_are_read_and_go_on(xom: Any, *, packed: bool) -> None:  # noqa: ANN401
    """By earlier versions of ours, and by a devpi without this plugin: nobody has to convert them."""
    versions = [f"1.{number}" for number in range(35)]
    for version in versions:
        upload(xom, version, stage=of_devpi_alone)
    found = shown(xom)
    assert found.versions == tuple(versions)
    assert [file.filename for file in found.files] == [dist(version) for version in versions]
    if packed:
        text = detail.as_text(found, {"counts": [(version, 1) for version in found.versions]})
        value = base64.b64encode(zlib.compress(text.encode(), 1)).decode()
        with xom.keyfs.write_transaction():
            index_of(xom).key_projsimplelinks("demo").set({upload_stage.STORED: value})
    assert shown(xom) == found
    upload(xom, "2.0")
    assert shown(xom).versions == (*found.versions, "2.0")
    assert names(xom) == [*(file.filename for file in found.files), dist("2.0")]
    with xom.keyfs.write_transaction():
        index_of(xom).del_versiondata("demo", "1.7")
        assert not index_of(xom).key_projversions("demo").exists()
    assert dist("1.7") not in names(xom)
    with xom.keyfs.read_transaction():
        assert index_of(xom).list_versions_perstage("demo") == {*versions, "2.0"} - {"1.7"}


def test_old_projects_can_be_deleted_without_another_upload(xom: Any) -> None:  # noqa: ANN401
    """Nor does a yank need one."""
    for version in ("1.0", "2.0"):
        upload(xom, version, stage=of_devpi_alone)
    with xom.keyfs.write_transaction():
        index_of(xom).yank("demo", "1.0", yanked=True)
    assert [file.yanked for file in shown(xom).files] == [True, False]
    with xom.keyfs.write_transaction():
        index_of(xom).del_project("demo")
    assert names(xom) == []


def test_devpi_learns_when_a_project_and_its_index_changed_last(xom: Any) -> None:  # noqa: ANN401
    """devpi-web asks for it; devpi would look at a list of versions that is not stored any more."""

    def changed() -> tuple[int, int]:
        with xom.keyfs.read_transaction():
            index = index_of(xom)
            return index.get_last_project_change_serial_perstage(
                "demo"
            ), index.get_last_change_serial_perstage()

    made = xom.keyfs.get_current_serial()
    assert changed()[0] == -1
    upload(xom, "1.0")
    assert changed() == (made + 1, made + 1)
    upload(xom, wheel("other", "1.0"))
    assert changed() == (made + 1, made + 2)
    with xom.keyfs.write_transaction():
        index_of(xom).del_project("demo")
    assert changed() == (made + 3, made + 3)


def test_our_index_is_used_by_all_of_devpis_commands() -> None:
    """devpi-export would write projects without files otherwise."""
    from devpi_server import model

    assert model.PrivateStage is upload_stage.UploadStage
    assert issubclass(model.PrivateStage, PrivateStage)


def test_versions_are_in_the_same_order_whenever_they_were_uploaded() -> None:
    """An export has no order; people look for the last one at the end."""
    versions = ["0.9", "1", "1.0.dev1", "1.0.dev10", "1.2", "1.10", "1.10a", "a1", "b\u00b2"]
    found = [version_rows.VersionRows(version, "") for version in versions]
    assert version_rows.in_order(reversed(found)) == found
