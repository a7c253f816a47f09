"""Read your writes: the next request after a write shows the truth, in every form, on every index.

Each of these is asked of devpi-server itself and through nginx, which answers from the same pages.
"""

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from tests.support.dists import sdist, wheel
from tests.support.mirror_and_upstream import Mirrored
from tests.support.nginx_front import fronted, through
from tests.support.servers import BIN, free_port, run_command
from tests.support.team_indexes import Team, new_team
from tests.support.upstream import Upstream

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def behind_nginx() -> Iterator[Mirrored]:
    """A mirror that is reached through nginx."""
    port = free_port()
    with Upstream() as upstream, fronted(upstream, port) as mirrored:
        yield through(port, mirrored)


@pytest.fixture(params=["mirrored", pytest.param("behind_nginx", marks=pytest.mark.needs("nginx"))])
def team(request: pytest.FixtureRequest) -> Team:
    """Indexes of the test's own."""
    return new_team(request.getfixturevalue(request.param))


@contextmanager
def as_root(team: Team) -> Iterator[Any]:
    """Calls of the administrator (the mirror is served with --restrict-modify root)."""
    with requests.Session() as session:
        session.auth = ("root", team.mirrored.mirror.credentials["root"])
        session.headers["Accept"] = "application/json"
        yield session


ONE, TWO = wheel("own", "1.0"), wheel("own", "2.0")


def test_an_upload_is_on_the_very_next_page(team: Team) -> None:
    """A pipeline uploads and installs within a second."""
    assert team.shown("own") == ["404"]
    for count, dist in enumerate([ONE, sdist("own", "1.0"), TWO], start=1):
        team.upload(dist)
        assert len(team.shown("own")) == count
        assert dist.filename in team.shown("own")


def test_an_upload_to_a_base_is_on_the_next_page_of_who_inherits(team: Team) -> None:
    """dev inherits prod."""
    team.upload(ONE)
    assert team.shown("own") == [ONE.filename]
    team.upload(TWO, "prod")
    assert team.shown("own", "prod") == [TWO.filename]
    assert team.shown("own") == [ONE.filename, TWO.filename]


def test_what_an_upload_is_can_be_seen_on_its_page(team: Team) -> None:
    """Size, time and metadata from our own storage: uv's --exclude-newer, and resolving without downloads."""
    team.upload(ONE)
    file = team.file("own", ONE.filename)
    assert file["size"] == len(ONE.content)
    assert file["hashes"] == {"sha256": ONE.sha256}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", file["upload-time"])
    assert set(file["core-metadata"]) == {"sha256"}
    assert team.mirrored.page("own", team.index("dev"))["versions"] == ["1.0"]


def test_what_is_deleted_is_gone_from_the_next_page(team: Team) -> None:
    """A file, a version, a project."""
    for dist in (ONE, sdist("own", "1.0"), TWO):
        team.upload(dist)
    url = team.mirrored.url_of(ONE, team.index("dev"))
    team.call("DELETE", url.removeprefix(f"{team.mirrored.mirror.url}/"))
    assert team.shown("own") == ["own-1.0.tar.gz", TWO.filename]
    team.call("DELETE", f"{team.index('dev')}/own/1.0")
    assert team.shown("own") == [TWO.filename]
    team.call("DELETE", f"{team.index('dev')}/own")
    assert team.shown("own") == ["404"]


def test_a_file_that_is_replaced_has_its_new_hash_on_the_next_page(team: Team) -> None:
    """A volatile index allows it."""
    team.upload(ONE)
    assert team.file("own", ONE.filename)["hashes"]["sha256"] == ONE.sha256
    again = wheel("own", "1.0", padding=10)
    team.upload(again)
    assert team.shown("own") == [ONE.filename]
    assert team.file("own", ONE.filename)["hashes"]["sha256"] == again.sha256
    assert team.file("own", ONE.filename)["size"] == len(again.content)


def test_a_push_is_on_the_next_page_of_its_target(team: Team) -> None:
    """Promotion from dev to other."""
    team.upload(ONE)
    uploaded = team.file("own", ONE.filename)
    assert team.shown("own", "other") == ["404"]
    push = {"name": "own", "version": "1.0", "targetindex": team.index("other")}
    team.call("POST", team.index("dev"), json=push)
    assert team.shown("own", "other") == [ONE.filename]
    assert team.file("own", ONE.filename, "other")["upload-time"] == uploaded["upload-time"]


def test_new_bases_change_the_next_page(team: Team) -> None:
    """And taking them away too."""
    team.upload(ONE)
    team.upload(TWO, "other")
    assert team.shown("own") == [ONE.filename]
    team.mirrored.change_index(team.index("dev"), bases=team.index("other"))
    assert team.shown("own") == [ONE.filename, TWO.filename]
    team.mirrored.change_index(team.index("dev"), bases=team.index("prod"))
    assert team.shown("own") == [ONE.filename]


def test_an_own_project_hides_the_upstreams_from_the_next_page_on(team: Team) -> None:
    """The guard against dependency confusion must not lag behind an upload."""
    name = f"public{next(NUMBERS)}"
    team.mirrored.upstream.add(name, wheel(name, "9.0"))
    assert team.shown(name) == [wheel(name, "9.0").filename]
    team.upload(wheel(name, "1.0"))
    assert team.shown(name) == [wheel(name, "1.0").filename]
    team.mirrored.change_index(team.index("dev"), mirror_whitelist="*")
    assert len(team.shown(name)) == 2


def test_a_deleted_index_and_user_are_gone_at_once(team: Team) -> None:
    """And an index that is made anew under the name is empty."""
    team.upload(ONE)
    assert team.shown("own") == [ONE.filename]
    with as_root(team) as root:
        url = f"{team.mirrored.mirror.url}/{team.index('dev')}"
        assert root.delete(url).status_code == 201
        assert team.shown("own") == ["404"]
        assert root.put(url, json={"bases": []}).status_code == 200
        assert team.shown("own") == ["404"]
        assert root.delete(f"{team.mirrored.mirror.url}/{team.name}").status_code == 200
    assert team.shown("own", "prod") == ["404"]


def test_a_refused_upload_changes_nothing(team: Team) -> None:
    """The pages of a write that did not happen are the old ones."""
    team.upload(ONE)
    team.mirrored.change_index(team.index("dev"), volatile="False")
    with pytest.raises(AssertionError, match="409"):
        team.upload(wheel("own", "1.0", padding=10))
    assert team.file("own", ONE.filename)["hashes"]["sha256"] == ONE.sha256


def test_new_metadata_of_a_release_is_on_the_next_page(team: Team) -> None:
    """Stock devpi shows it after the next upload."""
    team.upload(ONE)
    form = {":action": "submit", "name": "own", "version": "1.0", "requires_python": ">=3.9"}
    team.call("POST", f"{team.index('dev')}/", data=form)
    assert team.file("own", ONE.filename)["requires-python"] == ">=3.9"


def test_a_yank_is_on_the_next_page_here_and_where_it_is_inherited(team: Team) -> None:
    """PEP 592, with its reason; it survives another upload and travels with a push."""
    team.upload(ONE, "prod")
    assert team.file("own", ONE.filename)["yanked"] is False
    yank = f"{team.index('prod')}/own/1.0.0/+yank"
    team.call("PUT", yank, json={"reason": "bad <data>"})
    assert team.file("own", ONE.filename, "prod")["yanked"] == "bad <data>"
    assert team.file("own", ONE.filename, "dev")["yanked"] == "bad <data>"
    assert 'data-yanked="bad &lt;data&gt;"' in _html(team, "own", "dev")
    team.upload(sdist("own", "1.0"), "prod")
    assert team.file("own", "own-1.0.tar.gz")["yanked"] == "bad <data>"
    team.call(
        "POST", team.index("prod"), json={"name": "own", "version": "1.0", "targetindex": team.index("other")}
    )
    assert team.file("own", ONE.filename, "other")["yanked"] == "bad <data>"
    team.call("DELETE", yank)
    assert team.file("own", ONE.filename, "dev")["yanked"] is False
    assert team.file("own", ONE.filename, "other")["yanked"] == "bad <data>"
    team.call("PUT", yank)
    assert team.file("own", ONE.filename, "dev")["yanked"] is True


def _html(team: Team, project: str, index: str) -> str:
    return requests.get(f"{team.mirrored.mirror.index_url(team.index(index))}{project}/", timeout=30).text


def test_a_yank_is_for_those_who_may_upload(team: Team) -> None:
    """And only of what is there, on an index of uploads."""
    team.upload(ONE)
    url = f"{team.mirrored.mirror.url}/{team.index('dev')}/own"
    assert requests.put(f"{url}/1.0/+yank", timeout=30).status_code == 401
    company = ("company", team.mirrored.mirror.credentials["company"])
    assert requests.put(f"{url}/1.0/+yank", auth=company, timeout=30).status_code == 403
    assert team.file("own", ONE.filename)["yanked"] is False
    own = (team.name, "pw")
    assert requests.put(f"{url}/3.0/+yank", auth=own, timeout=30).status_code == 404
    mirror = f"{team.mirrored.mirror.url}/root/pypi/own/1.0/+yank"
    assert requests.put(mirror, auth=own, timeout=30).status_code == 400


def test_the_command_yanks_and_pip_and_uv_obey(mirrored: Mirrored) -> None:
    """A range skips what is yanked, a pin gets it."""
    name = f"yankme{next(NUMBERS)}"
    company = Team(mirrored, "company")
    for version in ("1.0", "2.0"):
        dist = wheel(name, version)
        path = mirrored.mirror.home / dist.filename
        path.write_bytes(dist.content)
        mirrored.upload(path)
    said = mirrored.mirror.run(BIN / "mirror", "yank", f"{name}==2.0", "--reason", "bad data").stdout
    assert said == f"yanked {name} 2.0 on company/dev: bad data\n"
    assert company.file(name, wheel(name, "2.0").filename)["yanked"] == "bad data"
    index = ("--index-url", mirrored.mirror.index_url("company/dev"))
    download = (
        BIN / "python",
        "-m",
        "pip",
        "download",
        "--no-cache-dir",
        "--no-deps",
        "--dest",
        mirrored.mirror.home,
    )
    assert "2.0" not in mirrored.mirror.run(*download, *index, name).stdout
    assert "2.0" in mirrored.mirror.run(*download, *index, f"{name}==2.0").stdout
    resolve = (BIN / "uv", "pip", "compile", "--no-header", "-", *index)
    assert _compile(mirrored, *resolve, requirement=name) == [f"{name}==1.0"]
    mirrored.mirror.run(BIN / "mirror", "unyank", f"{name}==2.0")
    assert _compile(mirrored, *resolve, requirement=name) == [f"{name}==2.0"]


def _compile(mirrored: Mirrored, *command: Any, requirement: str) -> list[str]:  # noqa: ANN401 (str or Path)
    wanted = mirrored.mirror.home / "requirements.in"
    wanted.write_text(requirement)
    command = tuple(wanted if part == "-" else part for part in command)
    output = run_command(*command, env=mirrored.mirror.environment).stdout
    return [line for line in output.splitlines() if not line.lstrip().startswith("#")]


def test_a_changed_password_is_the_only_one_from_then_on(team: Team) -> None:
    """Right passwords are remembered; who changes one because it leaked must be able to rely on it."""
    url = f"{team.mirrored.mirror.url}/+api"

    def status(password: str) -> str:
        headers = {"Accept": "application/json"}
        answer = requests.get(url, auth=(team.name, password), headers=headers, timeout=30)
        return str(answer.json()["result"]["authstatus"][0])

    assert [status("pw"), status("pw"), status("new")] == ["ok", "ok", "noauth"]
    with as_root(team) as session:
        session.patch(f"{team.mirrored.mirror.url}/{team.name}", json={"password": "new"}).raise_for_status()
    assert [status("pw"), status("new")] == ["noauth", "ok"]
