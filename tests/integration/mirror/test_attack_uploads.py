"""Attacks by uploads: files that are not what they say, names that mean something in a path or in HTML."""

import io
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.dists import Dist, archive, broken_wheel, sdist, wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of, new_name
from tests.support.servers import BIN
from tests.support.team_indexes import Team, new_team
from tests.support.upstream import Upstream


@pytest.fixture(scope="module")
def mirrored() -> Iterator[Mirrored]:
    with Upstream() as upstream, mirror_of(upstream) as made:
        yield made


@pytest.fixture
def team(mirrored: Mirrored) -> Team:
    return new_team(mirrored)


def _without_record(dist: Dist) -> Dist:
    with zipfile.ZipFile(io.BytesIO(dist.content)) as old:
        members = {name: old.read(name) for name in old.namelist() if not name.endswith("/RECORD")}
    return Dist(dist.filename, archive(members), dist.metadata)


@pytest.mark.parametrize("fault", ["garbage", "no-metadata", "two-metadata", "cut", "bomb"])
def test_a_file_that_is_no_wheel_is_refused_and_its_name_is_not_taken(team: Team, fault: str) -> None:
    """Whoever installs it would find out; and the name would be reserved for nothing."""
    name = new_name("broken")
    dist = broken_wheel(name, "1.0", fault)
    with pytest.raises(AssertionError, match="400"):
        team.upload(dist)
    assert team.shown(name) == ["404"]
    public = wheel(name, "9.0")
    team.mirrored.upstream.add(name, public)
    assert team.shown(name, "prod") in (["404"], [public.filename])  # a 404 may be remembered for a minute
    team.upload(wheel(name, "1.0"))
    assert team.shown(name) == [dist.filename]


def test_twine_shows_why_an_upload_is_refused(mirrored: Mirrored, tmp_path: Path) -> None:
    """In one sentence, which names what to correct."""
    dist = _without_record(wheel("unrecorded", "1.0"))
    path = tmp_path / dist.filename
    path.write_bytes(dist.content)
    login = ("--username", "company", "--password", mirrored.mirror.credentials["company"])
    url = ("--repository-url", f"{mirrored.mirror.url}/company/dev/")
    done = mirrored.mirror.run(
        BIN / "twine", "upload", "--non-interactive", "--disable-progress-bar", *url, *login, path, status=1
    )
    assert "400" in done.stdout + done.stderr
    assert "the archive has no unrecorded-1.0.dist-info/RECORD" in " ".join(
        (done.stdout + done.stderr).split()
    )


def test_twine_shows_why_one_may_not_upload(mirrored: Mirrored, team: Team, tmp_path: Path) -> None:
    """A wrong password is another mistake than an index of others."""
    dist = wheel("refused", "1.0")
    path = tmp_path / dist.filename
    path.write_bytes(dist.content)
    url = ("--repository-url", f"{mirrored.mirror.url}/company/dev/")
    shown = {}
    for password in ("wrong", "pw"):
        login = ("--username", team.name, "--password", password)
        done = mirrored.mirror.run(
            BIN / "twine",
            "upload",
            "--non-interactive",
            "--disable-progress-bar",
            *url,
            *login,
            path,
            status=1,
        )
        shown[password] = " ".join((done.stdout + done.stderr).split())
    assert "wrong user, password or token" in shown["wrong"]
    assert f"{team.name} may not upload to company/dev: acl_upload in mirror.toml" in shown["pw"]
    for size in (1, 5_000_000):  # a large one is not read
        form = {":action": "file_upload", "name": "x" * size}
        answer = requests.post(f"{mirrored.mirror.url}/company/dev/", data=form, timeout=30)
        assert (answer.status_code, answer.text) == (401, "log in to upload to company/dev\n")


def test_a_wheel_of_another_version_than_its_form_says_is_refused(team: Team) -> None:
    """The page would show one version, and installers would get another."""
    dist = wheel("own", "2.0")
    with pytest.raises(AssertionError, match=r"400 .*the form says own 1\.0"):
        team.upload(dist, version="1.0", name="own")
    renamed = Dist("own-1.0-py3-none-any.whl", dist.content, b"")
    with pytest.raises(AssertionError, match=r"400 .*METADATA|400 .*dist-info"):
        team.upload(renamed)
    assert team.shown("own") == ["404"]


@pytest.mark.parametrize("action", ["file_upload", "doc_upload", "submit"])
@pytest.mark.parametrize(
    "text",
    ["", "\0", "a\0b", "a/b", "../../evil", '"', "a'b", "<b>", "a\r\nSet-Cookie: x=1", "%00", "ä", "."],
)
def test_a_name_that_means_something_elsewhere_is_a_400(team: Team, action: str, text: str) -> None:
    """Each was a 500, or made a page that nobody could read."""
    dist = wheel("own", "1.0")
    url = f"{team.mirrored.mirror.url}/{team.index('dev')}/"
    good = {":action": action, "name": "own", "version": "1.0"}
    forms = [(good | {"name": text}, dist.filename)]
    if action != "doc_upload":
        forms.append((good | {"version": text}, dist.filename))
    if action == "file_upload":
        forms.append((good, f"{text}own-1.0-py3-none-any.whl" if text else "own-1.0"))
    for form, filename in forms:
        files = {"content": (filename, dist.content)}
        answer = requests.post(url, data=form, files=files, auth=(team.name, "pw"), timeout=30)
        assert answer.status_code == 400, (form, filename, answer.status_code, answer.text)
        assert "<b>" not in answer.text
        assert "Set-Cookie" not in answer.headers
    assert team.shown("own") == ["404"]


@pytest.mark.parametrize("field", ["name", "version", "content", ":action"])
def test_a_form_without_a_field_is_a_400(team: Team, field: str) -> None:
    """Clients that are written in an afternoon forget one."""
    dist = wheel("own", "1.0")
    form = {":action": "file_upload", "name": "own", "version": "1.0"}
    files = {"content": (dist.filename, dist.content)}
    form.pop(field, None)
    files.pop(field, None)
    url = f"{team.mirrored.mirror.url}/{team.index('dev')}/"
    answer = requests.post(
        url, data=form, files=files or {"other": ("x", b"")}, auth=(team.name, "pw"), timeout=30
    )
    assert answer.status_code == 400, answer.text


def test_a_form_that_says_two_things_or_nonsense_is_a_400(team: Team) -> None:
    """A field sent as a text and as a file was a 500; requires_python went to the page as it was."""
    dist = wheel("own", "1.0")
    form = [(":action", "file_upload"), ("name", "own"), ("version", "1.0")]
    content = ("content", (dist.filename, dist.content))
    url = f"{team.mirrored.mirror.url}/{team.index('dev')}/"
    for more, files in (
        ([], [(":action", ("x", b"doc_upload"))]),
        ([], [("version", ("x", b"2.0"))]),
        ([], [("name", ("x", b"other"))]),
        ([("requires_python", "<script>")], []),
    ):
        answer = requests.post(
            url, data=form + more, files=[content, *files], auth=(team.name, "pw"), timeout=30
        )
        assert answer.status_code == 400, answer.text
        assert "is a file" in answer.reason or "requires_python is no specifier" in answer.reason
    assert team.shown("own") == ["404"]


@pytest.mark.parametrize("client", ["twine", "uv", "devpi"])
def test_clients_upload_as_before(mirrored: Mirrored, client: str, tmp_path: Path) -> None:
    """A wheel and an sdist, as build tools make them."""
    name = new_name(f"by-{client}-")
    user, password = "company", mirrored.mirror.credentials["company"]
    url = f"{mirrored.mirror.url}/company/dev/"
    paths = []
    for dist in (wheel(name, "1.0"), sdist(name, "1.0")):
        paths.append(tmp_path / dist.filename)
        paths[-1].write_bytes(dist.content)
    run, client_home = mirrored.mirror.run, ("--clientdir", tmp_path / "client")
    if client == "twine":
        for path in paths:
            mirrored.upload(path)
    elif client == "uv":
        run(BIN / "uv", "publish", "--publish-url", url, "--username", user, "--password", password, *paths)
    else:
        run(BIN / "devpi", "use", *client_home, url)
        run(BIN / "devpi", "login", *client_home, user, "--password", password)
        run(BIN / "devpi", "upload", *client_home, *paths)
    assert {file["filename"] for file in mirrored.page(name, "company/dev")["files"]} == {
        path.name for path in paths
    }


def test_documentation_is_uploaded_as_before(team: Team) -> None:
    """A zip of HTML, which is no distribution."""
    team.upload(wheel("own", "1.0"))
    form = {":action": "doc_upload", "name": "own", "version": "1.0"}
    team.call(
        "POST",
        f"{team.index('dev')}/",
        data=form,
        files={"content": ("own.zip", archive({"index.html": b""}))},
    )


def test_what_was_uploaded_before_uploads_were_checked_is_served_and_promoted(
    mirrored: Mirrored, tmp_path: Path
) -> None:
    """An installation is taken over with all that is on it; `check_uploads = false` goes on taking it."""
    team, old = new_team(mirrored), _without_record(wheel("old", "1.0"))
    settings = mirrored.mirror.home / "mirror.toml"
    shutil.copy(settings, tmp_path)
    settings.write_text(f"check_uploads = false\n{settings.read_text()}")
    mirrored.restart()
    team.upload(old)
    shutil.copy(tmp_path / "mirror.toml", settings)
    mirrored.restart()
    with pytest.raises(AssertionError, match="400"):
        team.upload(_without_record(wheel("old", "2.0")))
    team.call(
        "POST", team.index("dev"), json={"name": "old", "version": "1.0", "targetindex": team.index("prod")}
    )
    assert team.shown("old", "prod") == [old.filename]
