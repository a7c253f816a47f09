"""Attacks by names: a stranger publishes, upstream, a project that has the name of one of ours."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from mirror import state
from mirror.upkeep import backup, restore
from tests.support.devpi_servers import export_devpi, import_devpi, init_devpi, running_devpi
from tests.support.dists import Dist, wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of, new_name
from tests.support.servers import BIN, free_port, short_home, wait_until
from tests.support.team_indexes import Team, new_team
from tests.support.upstream import JSON, Upstream

SETTINGS = 'request_timeout = 2\nreserved = ["Acme_*", "explicit.name"]\n'


@pytest.fixture(scope="module")
def mirrored() -> Iterator[Mirrored]:
    """A mirror whose administrator has reserved a pattern and a name."""
    with Upstream() as upstream, mirror_of(upstream, SETTINGS) as made:
        yield made


@pytest.fixture(scope="module")
def team(mirrored: Mirrored) -> Team:
    return new_team(mirrored)


def _publish(mirrored: Mirrored, name: str) -> Dist:
    """What a stranger publishes upstream."""
    stranger = wheel(name, "99.0")
    mirrored.upstream.add(name, stranger)
    mirrored.upstream.forget()
    return stranger


def _status(url: str, index: str, name: str) -> int:
    answer = requests.get(f"{url}/{index}/+simple/{name}/", headers={"Accept": JSON}, timeout=30)
    return answer.status_code


def _rendered(mirrored: Mirrored, name: str) -> list[Path]:
    """The pages that nginx may send without a question."""
    return list((mirrored.mirror.home / "mirror" / "server" / "+pages").glob(f"*/{name}/*/*"))


def _delete(team: Team, path: str) -> None:
    team.call("DELETE", path)


@pytest.mark.parametrize("name", ["acme-billing", "explicit-name"])
def test_a_name_that_is_reserved_before_its_first_upload_is_nowhere_and_the_upstream_learns_of_no_question(
    mirrored: Mirrored, team: Team, name: str
) -> None:
    """The upstream would learn which names are worth taking."""
    stranger = _publish(mirrored, name)
    for index in ("root/pypi", team.index("prod"), team.index("dev")):
        assert team.shown(name) == ["404"]
        assert _status(mirrored.mirror.url, index, name) == 404
        for path in (f"{index}/{name}", f"{index}/{name}/99.0"):
            answer = requests.get(
                f"{mirrored.mirror.url}/{path}", headers={"Accept": "application/json"}, timeout=30
            )
            assert answer.status_code == 404, answer.text
    assert mirrored.upstream.requests == []
    assert _rendered(mirrored, name) == []
    team.upload(wheel(name, "1.0"))
    assert stranger.filename not in team.shown(name)
    assert team.shown(name, "prod") == ["404"]


def test_what_was_uploaded_to_one_index_is_reserved_on_all_of_them_before_promotion(
    mirrored: Mirrored, team: Team
) -> None:
    """Before, company/prod showed the stranger's project until the first release was promoted."""
    name = new_name("promoted")
    stranger = _publish(mirrored, name)
    assert team.shown(name, "prod") == [stranger.filename]  # it is public so far, and on the disk for nginx
    assert _rendered(mirrored, name)
    own = wheel(name, "1.0")
    team.upload(own)
    assert _rendered(mirrored, name) == []
    assert team.shown(name, "prod") == ["404"]
    assert team.shown(name) == [own.filename]
    other = new_team(mirrored)
    assert other.shown(name) == ["404"]
    team.call(
        "POST", team.index("dev"), json={"name": name, "version": "1.0", "targetindex": team.index("prod")}
    )
    assert team.shown(name, "prod") == [own.filename]
    assert _status(mirrored.mirror.url, "root/pypi", name) == 200  # the public index, as it is


def test_a_registered_name_without_a_file_is_reserved(mirrored: Mirrored, team: Team) -> None:
    """Registration is how a team takes a name before it has a release."""
    name = new_name("registered")
    _publish(mirrored, name)
    team.call("POST", f"{team.index('dev')}/", data={":action": "submit", "name": name, "version": "1.0"})
    assert team.shown(name, "prod") == ["404"]


def test_a_name_stays_reserved_when_its_versions_its_project_and_its_index_are_deleted(
    mirrored: Mirrored,
) -> None:
    """The name would go to a stranger the moment that a release is withdrawn."""
    team, name = new_team(mirrored), new_name("deleted")
    _publish(mirrored, name)
    team.upload(wheel(name, "1.0"))
    _delete(team, f"{team.index('dev')}/{name}/1.0")
    assert team.shown(name) == ["404"]
    team.upload(wheel(name, "2.0"))
    _delete(team, f"{team.index('dev')}/{name}")
    assert team.shown(name) == ["404"]
    root = ("root", mirrored.mirror.credentials["root"])
    url = f"{mirrored.mirror.url}/{team.index('dev')}"
    assert requests.delete(url, auth=root, timeout=30).status_code < 300
    settings = {"bases": ["root/pypi"], "acl_upload": [team.name]}
    assert requests.put(url, json=settings, auth=root, timeout=30).status_code < 300
    assert team.shown(name) == ["404"]
    assert new_team(mirrored).shown(name) == ["404"]


def test_reserved_names_are_not_in_the_list_of_projects(mirrored: Mirrored, team: Team) -> None:
    """Installers do not ask for it; people and search tools do."""
    name, public = new_name("listed"), new_name("public")
    for each in (name, public):
        _publish(mirrored, each)
        assert team.shown(each) != ["404"]  # the mirror knows it now
    team.upload(wheel(name, "1.0"), "other")
    lists = {
        index: requests.get(mirrored.mirror.index_url(index), headers={"Accept": JSON}, timeout=30).json()
        for index in (team.index("dev"), "root/pypi")
    }
    names = {index: {each["name"] for each in found["projects"]} for index, found in lists.items()}
    assert public in names[team.index("dev")]
    assert name not in names[team.index("dev")]
    assert name in names["root/pypi"]


def test_an_index_whose_whitelist_names_the_project_shows_own_and_public_releases(
    mirrored: Mirrored,
) -> None:
    """A patched fork beside the public versions: what is stated goes before what follows from an upload."""
    team = new_team(mirrored)
    for name in (new_name("fork"), new_name("acme-fork")):
        stranger, own = _publish(mirrored, name), wheel(name, "99.0.1")
        team.upload(own)
        assert team.shown(name) == [own.filename]
        for index in ("dev", "prod"):
            mirrored.change_index(team.index(index), mirror_whitelist=name)
        assert team.shown(name) == sorted([stranger.filename, own.filename])
        assert team.shown(name, "prod") == [stranger.filename]


def test_a_public_release_that_is_pushed_to_an_index_of_uploads_stays_public(
    mirrored: Mirrored, team: Team
) -> None:
    """A curated index is filled from the mirror: no other index may lose the project by that."""
    name = new_name("curated")
    stranger = _publish(mirrored, name)
    assert team.shown(name) == [stranger.filename]
    team.call("POST", "root/pypi", json={"name": name, "version": "99.0", "targetindex": team.index("other")})
    assert team.shown(name, "other") == [stranger.filename]
    assert team.shown(name) == [stranger.filename]


def test_only_root_reserves_and_releases_and_is_told_why_a_name_is_reserved(
    mirrored: Mirrored, team: Team
) -> None:
    """A release hands the name to whoever publishes it."""
    name, url = new_name("released"), f"{mirrored.mirror.url}/+reserved"
    stranger = _publish(mirrored, name)
    team.upload(wheel(name, "1.0"))
    login = (team.name, "pw")
    for method, path in (("GET", url), ("PUT", f"{url}/{name}"), ("DELETE", f"{url}/{name}")):
        assert requests.request(method, path, timeout=30).status_code == 401
        assert requests.request(method, path, auth=login, timeout=30).status_code == 403
    run = mirrored.mirror.run
    explained = run(BIN / "mirror", "release-name", name, cwd=mirrored.mirror.home, status=1)
    assert f"reserved by an upload of {team.name} to {team.index('dev')}" in explained.stderr
    assert "whoever publishes a project of this name" in explained.stderr
    assert team.shown(name, "prod") == ["404"]
    run(BIN / "mirror", "release-name", name, "--yes", cwd=mirrored.mirror.home)
    assert team.shown(name, "prod") == [stranger.filename]
    mirrored.restart()
    assert team.shown(name, "prod") == [stranger.filename]  # although it is on an index still
    run(BIN / "mirror", "reserve", name)
    assert team.shown(name, "prod") == ["404"]
    assert _status(mirrored.mirror.url, "root/pypi", name) == 404
    assert f"{name}  reserved by root" in run(BIN / "mirror", "reserve", "--list").stdout
    refused = run(BIN / "mirror", "release-name", "acme-*", "--yes", cwd=mirrored.mirror.home, status=1)
    assert "mirror.toml reserves acme-*" in refused.stderr


@pytest.fixture(scope="module")
def moved() -> Iterator[tuple[Mirrored, Team]]:
    """A stopped mirror, where `gone` was uploaded and deleted, `acme-*` is reserved, and both are public."""
    with Upstream() as upstream, mirror_of(upstream, SETTINGS) as made:
        team = new_team(made)
        for name in ("gone", "acme-gone", "public"):
            upstream.add(name, wheel(name, "99.0"))
        team.upload(wheel("gone", "1.0"))
        _delete(team, f"{team.index('dev')}/gone")
        made.mirror.run(BIN / "mirror", "stop")
        yield made, team


def _holds(url: str, team: Team) -> None:
    statuses = {name: _status(url, team.index("dev"), name) for name in ("gone", "acme-gone", "public")}
    assert statuses == {"gone": 404, "acme-gone": 404, "public": 200}


def test_a_reservation_survives_backup_and_restore(moved: tuple[Mirrored, Team], tmp_path: Path) -> None:
    """The disk is lost, and nobody remembers which names there were."""
    made, team = moved
    saved = backup.make(state.Folder(made.mirror.home), tmp_path / "backups", 1, datetime.now(UTC))
    with short_home() as home:
        restore.restore(state.Folder(home), saved)
        with running_devpi(made.mirror, home / "mirror" / "server", free_port()) as url:
            _holds(url, team)


def test_a_reservation_survives_export_and_import(moved: tuple[Mirrored, Team], tmp_path: Path) -> None:
    """The way to another database, or another devpi."""
    made, team = moved
    export_devpi(made.mirror, made.mirror.home / "mirror" / "server", tmp_path / "exported")
    import_devpi(made.mirror, tmp_path / "exported", tmp_path / "imported")
    with running_devpi(made.mirror, tmp_path / "imported", free_port()) as url:
        _holds(url, team)


def test_a_replica_holds_what_its_primary_reserves_also_what_it_reserves_later(
    moved: tuple[Mirrored, Team],
) -> None:
    """A page that the replica has rendered before is dropped as well."""
    made, team = moved
    port = urlsplit(made.mirror.url).port or 0
    role = ("--role", "replica", "--primary-url", made.mirror.url)
    folder = made.mirror.home / "replica"
    init_devpi(made.mirror, folder, *role)
    with (
        running_devpi(made.mirror, made.mirror.home / "mirror" / "server", port, "--role", "primary"),
        running_devpi(made.mirror, folder, free_port(), *role) as replica,
    ):
        wait_until("replicated", lambda: _status(replica, team.index("dev"), "public") == 200)
        _holds(replica, team)
        team.upload(wheel("public", "1.0"), "other")
        wait_until("the replica follows", lambda: _status(replica, team.index("dev"), "public") == 404)


def test_names_that_a_version_without_reservations_had_are_reserved_at_the_first_start(
    tmp_path: Path,
) -> None:
    """Also on indexes that do not inherit from the one which has them; but not what came from a mirror."""
    with Upstream() as upstream, mirror_of(upstream) as made:
        team = new_team(made)
        for name in ("own", "curated"):
            upstream.add(name, wheel(name, "99.0"))
        assert team.shown("curated") != ["404"]
        team.call(
            "POST",
            "root/pypi",
            json={"name": "curated", "version": "99.0", "targetindex": team.index("other")},
        )
        made.mirror.run(BIN / "mirror", "stop")
        folder, port = tmp_path / "server", urlsplit(made.mirror.url).port or 0
        shutil.copytree(made.mirror.home / "mirror" / "server", folder)
        with running_devpi(made.mirror, folder, port, "--offline", stock=True):
            team.upload(wheel("own", "1.0"), "other")
        with running_devpi(made.mirror, folder, port) as url:
            found: dict[str, Any] = {
                name: _status(url, team.index("dev"), name) for name in ("own", "curated")
            }
    assert found == {"own": 404, "curated": 200}
