"""Versions on their way through a real mirror to targets: promote, pipeline, show, diff, open."""

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from release import index, signing
from tests.support.dists import Dist, attestation, sdist, wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of, new_name
from tests.support.servers import BIN, clean_environment, free_port, run_command, wait_until
from tests.support.tiny_app import LOCK, NAME, app_sdist, app_wheel
from tests.support.upstream import Upstream

WAY = ("--from", "company/dev", "--to", "company/prod")


@dataclass(frozen=True)
class Team:
    """Somebody who deploys, with a mirror that has the default indexes."""

    mirrored: Mirrored
    home: Path

    def url(self, name: str = "company/prod") -> str:
        return f"{self.mirrored.mirror.url}/{name}"

    def configure(self, more: str = "", target: str = 'index = "company/prod"') -> None:
        (self.home / NAME).mkdir(exist_ok=True)
        (self.home / NAME / "release.toml").write_text(
            f'app = "{NAME}"\nindex = "{self.url("company/dev")}"\n{more}\n'
            f'[targets.local]\nbind = "127.0.0.1:{free_port()}"\n{target}\n'
        )

    def release(self, *arguments: str, status: int = 0, more: Mapping[str, str] | None = None) -> str:
        """What `release` prints: its results, or its errors."""
        login = {"TWINE_PASSWORD": self.mirrored.mirror.credentials["company"]}
        environment = clean_environment(self.home, **{**login, **(more or {})})
        done = run_command(BIN / "release", *arguments, env=environment, cwd=self.home / NAME, status=status)
        assert "Traceback" not in done.stderr
        return done.stdout if status == 0 else done.stderr

    def refused(self, *arguments: str, more: Mapping[str, str] | None = None) -> str:
        """The two lines that say why `release` fails, and what to do."""
        said = self.release(*arguments, status=1, more=more).splitlines()
        lines = [line for line in said if line.startswith(("Error:", "Hint:"))]
        assert len(lines) == 2
        return "\n".join(lines)

    def upload(self, dist: Dist, to: str = "company/dev", **more: str) -> None:
        name, version = dist.filename.removesuffix(".tar.gz").split("-")[:2]
        form = {":action": "file_upload", "name": name, "version": version, **more}
        login = ("company", self.mirrored.mirror.credentials["company"])
        files = {"content": (dist.filename, dist.content)}
        answer = requests.post(f"{self.url(to)}/", data=form, files=files, auth=login, timeout=30)
        assert answer.status_code == 200, answer.text

    def yank(self, version: str, on: str, method: str = "PUT") -> None:
        login = ("company", self.mirrored.mirror.credentials["company"])
        url = f"{self.url(on)}/{version.replace('==', '/')}/+yank"
        assert requests.request(method, url, auth=login, timeout=30).status_code == 200

    def own(self, project: str, on: str = "company/prod") -> dict[str, str | None]:
        """File name -> hash of what lies on an index itself."""
        found = index.files(self.url(on), project, index.get)
        return {file.filename: file.sha256 for file in found if file.own}


@pytest.fixture(scope="module")
def _mirrored() -> Iterator[Mirrored]:
    with Upstream() as upstream, mirror_of(upstream) as mirrored:
        yield mirrored


@pytest.fixture
def team(_mirrored: Mirrored, home: Path) -> Iterator[Team]:
    made = Team(_mirrored, home)
    made.configure()
    yield made
    if (home / "apps" / NAME / "current").exists():
        made.release("stop", "local")


def test_a_target_takes_versions_from_its_own_index_alone(team: Team) -> None:
    """The hint of the refusal is the command that helps; the very bytes arrive, and are deployed."""
    whl, tar = app_wheel("1.0"), app_sdist("1.0")
    team.upload(whl)
    team.upload(tar)
    for more in ([], ["--plan"], [f"{NAME}==1.0"]):
        said = team.refused("deploy", "local", *more)
        assert f"{team.url()}, which this target takes versions from, has no tiny==1.0" in said
    command = said.partition("Hint: release ")[2].split()
    assert "takes versions from company/prod alone" in team.refused(
        "deploy", "local", "--index", team.url("company/dev")
    )
    done = json.loads(team.release(*command, "--json"))
    assert [(file["filename"], file["new"]) for file in done["artifacts"]] == [
        (whl.filename, True),
        (tar.filename, True),
    ]
    assert team.own(NAME) == {whl.filename: whl.sha256, tar.filename: tar.sha256}
    again = team.release("promote")  # the newest of the project, to the only index of targets
    assert again.count("was there already, with the same bytes") == 2
    team.upload(app_wheel("1.1"))
    deployed = json.loads(team.release("deploy", "local", "--json"))["hosts"][0]
    assert (deployed["version"], deployed["artifact"]["index"]) == ("1.0", team.url())
    assert "has no tiny==1.1" in team.refused("deploy", "local", f"{NAME}==1.1")
    checks = json.loads(team.release("doctor", "local", "--json"))["checks"]
    assert not [check for check in checks if check["state"] == "failed"]


def test_the_rest_of_a_version_follows_and_attestations_go_along(team: Team) -> None:
    """Who promotes between twine's two uploads gets what was there, and the rest the next time."""
    name = new_name("partial")
    whl, tar = wheel(name, "1.0"), sdist(name, "1.0")
    team.upload(whl, attestations=json.dumps([attestation(whl)]))
    team.release("promote", f"{name}==1.0", *WAY)
    team.upload(tar)
    said = team.release("promote", f"{name}==1.0", *WAY)
    assert f"{whl.filename}  was there already" in said
    assert f"{tar.filename}  promoted" in said
    page = team.mirrored.page(name, "company/prod")
    assert {file["filename"]: bool(file.get("provenance")) for file in page["files"]} == {
        whl.filename: True,
        tar.filename: False,
    }


def test_other_bytes_are_refused_and_change_nothing(team: Team) -> None:
    """company/dev is volatile: its files may be replaced after the promotion."""
    name = new_name("other")
    team.upload(wheel(name, "1.0"))
    team.release("promote", f"{name}==1.0", *WAY)
    before = team.mirrored.page(name, "company/prod")
    team.upload(wheel(name, "1.0", padding=9), requires_python=">=3.99")
    assert "with other content" in team.refused("promote", f"{name}==1.0", *WAY)
    push = {"name": name, "version": "1.0", "targetindex": "company/prod"}
    login = ("company", team.mirrored.mirror.credentials["company"])
    url = f"{team.url('company/dev')}/"
    assert requests.post(url, json=push, auth=login, timeout=30).status_code == 409
    assert team.mirrored.page(name, "company/prod") == before  # the metadata did not stay there either


def test_two_promotions_at_once_both_succeed(team: Team) -> None:
    """Two jobs of a pipeline: the index takes one push, the other finds the same bytes."""
    name = new_name("twice")
    dist = wheel(name, "1.0", padding=3_000_000)
    team.upload(dist)
    said: list[str] = []
    threads = [
        threading.Thread(target=lambda: said.append(team.release("promote", f"{name}==1.0", *WAY)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 3
    assert team.own(name) == {dist.filename: dist.sha256}


@pytest.mark.parametrize(("uploaded", "asked"), [("1.0", "1.0.0"), ("1.0.0", "1"), ("2.0rc1", "2.0.RC1")])
def test_names_and_versions_may_be_spelled_in_every_way(team: Team, uploaded: str, asked: str) -> None:
    """devpi knows a version as its upload has written it, and refuses to push any other spelling."""
    name = new_name("my-app")
    team.upload(wheel(name, uploaded))
    team.release("promote", f"{name.replace('-', '_').upper()}=={asked}", *WAY)
    assert list(team.own(name)) == [wheel(name, uploaded).filename]


def test_a_withdrawn_version_is_not_promoted(team: Team) -> None:
    """Neither from where it is withdrawn, nor to there: a push would take the withdrawal back."""
    name = new_name("yanked")
    for version in ("1.0", "2.0"):
        team.upload(wheel(name, version))
    team.yank(f"{name}==2.0", "company/dev")
    assert "is withdrawn (yanked) on" in team.refused("promote", f"{name}==2.0", *WAY)
    assert f"{name} 1.0 is on" in team.release("promote", name, *WAY)  # the newest that is not withdrawn
    team.yank(f"{name}==1.0", "company/prod")
    team.upload(sdist(name, "1.0"))
    said = team.refused("promote", f"{name}==1.0", *WAY)
    assert f"mirror unyank {name}==1.0 --index company/prod" in said


def test_what_an_upstream_has_is_never_promoted(team: Team) -> None:
    """Anybody may have made it."""
    name = new_name("public")
    team.mirrored.publish(wheel(name, "1.0"))
    assert "is an index of type mirror" in team.refused(
        "promote", name, "--from", "root/pypi", "--to", "company/prod"
    )
    assert "is an index of type mirror" in team.refused("promote", name, "--to", "root/pypi")
    assert f"has no {name} of its own" in team.refused("promote", name, *WAY)
    assert not team.own(name)


def test_wrong_indexes_are_two_lines(team: Team) -> None:
    """Each with what to do."""
    team.upload(app_wheel("3.0"))
    assert "is both" in team.refused("promote", "--to", "company/dev")
    assert "There is no index" in team.refused("promote", "--to", "company/production")
    assert "are not on one server" in team.refused("promote", "--to", "http://127.0.0.1:9/company/prod")
    assert "neither the URL of an index nor USER/INDEX" in team.refused("promote", "--to", "prod")
    assert "is not one version" in team.refused("promote", "tiny>=1", "--to", "company/prod")
    assert "clear text" in team.refused(
        "promote", "--from", "http://example.com/a/b", "--to", "http://example.com/a/c"
    )
    team.configure(target="")
    assert "no index besides" in team.refused("promote")


def test_passwords_that_are_wrong_or_not_enough_are_told_apart(team: Team) -> None:
    """And never shown."""
    name = new_name("login")
    team.upload(wheel(name, "1.0"))
    said = team.refused("promote", name, *WAY, more={"TWINE_PASSWORD": "wr0ng"})
    assert "refuses the password of company" in said
    assert "wr0ng" not in said
    root = {"TWINE_PASSWORD": team.mirrored.mirror.credentials["root"]}
    assert "root may not upload to" in team.refused("promote", name, *WAY, "--username", "root", more=root)
    assert not team.own(name)


def test_dependencies_that_stayed_behind_are_named_with_the_command(team: Team) -> None:
    """A target of company/prod would fail to install them: its index does not inherit from company/dev."""
    library, public = new_name("lib"), new_name("public")
    dist, other = wheel(library, "2.0"), wheel(public, "1.0")
    team.upload(dist)
    team.mirrored.publish(other)
    team.upload(app_wheel("4.0", lock=locked(dist, other)))
    said = team.refused("promote", f"{NAME}==4.0", *WAY)
    assert f"tiny needs {library}==2.0, which" in said
    team.release(*said.partition(": release ")[2].split())
    team.release("promote", f"{NAME}==4.0", *WAY)


def test_only_what_is_signed_is_promoted_where_signatures_are_required(team: Team) -> None:
    """A target of that index would refuse it, later."""
    key = team.home / "key"
    command = ("ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-C", "ann", "-f", key)
    run_command(*command, env=clean_environment(team.home))
    signer = key.with_suffix(".pub").read_text().strip()
    team.configure(f'require_signature = true\nsigners = ["{signer}"]')
    team.upload(app_wheel("5.0"))
    assert "sign" in team.refused("promote", f"{NAME}==5.0", *WAY)
    plain = app_wheel("5.1")
    path = team.home / plain.filename
    path.write_bytes(plain.content)
    signing.sign(path, key)
    team.upload(Dist(plain.filename, path.read_bytes(), plain.metadata))
    team.release("promote", f"{NAME}==5.1", *WAY)


def test_an_index_that_stops_in_the_middle_is_no_half_promotion(team: Team) -> None:
    """The next run finishes it; the first says so."""
    name = new_name("stops")
    team.upload(wheel(name, "1.0"))
    team.mirrored.mirror.run(BIN / "mirror", "stop")
    try:
        assert "cannot be reached" in team.refused("promote", name, *WAY)
    finally:
        team.mirrored.restart()
    team.release("promote", name, *WAY)
    assert list(team.own(name)) == [wheel(name, "1.0").filename]


def test_the_pipeline_shows_what_is_ahead_of_what(team: Team) -> None:
    """From the index of uploads to the target; what does not answer is a line, and fails nothing."""
    team.configure(
        target='index = "company/prod"\n[targets.gone]\nhosts = ["127.0.0.1"]\nindex = "company/nowhere"\n'
    )
    for version in ("6.0", "6.1"):
        team.upload(app_wheel(version))
    team.release("promote", f"{NAME}==6.0", *WAY)
    team.release("deploy", "local")
    found = json.loads(team.release("pipeline", "--json"))
    assert [(each["url"], each["version"]) for each in found["indexes"][:2]] == [
        (team.url("company/dev"), "6.1"),
        (team.url(), "6.0"),
    ]
    assert "There is no index" in found["indexes"][2]["error"]
    local, gone = found["targets"]
    assert (local["available"], local["hosts"][0]["version"], local["hosts"][0]["release"]) == (
        "6.0",
        "6.0",
        1,
    )
    assert gone["hosts"][0]["error"]
    assert "Next: release promote tiny==6.1 --from company/dev --to company/prod" in team.release("pipeline")
    team.release("promote", f"{NAME}==6.1", *WAY)
    said = team.release("pipeline")
    assert "6.1 is newer" in said
    assert "Next: release deploy local" in said
    team.release("deploy", "local", f"{NAME}==6.1")
    assert "Next" not in team.release("pipeline")
    team.mirrored.mirror.run(BIN / "mirror", "stop")
    try:
        assert team.release("pipeline").count("cannot be reached") == 4  # three indexes, and a host
    finally:
        team.mirrored.restart()


def test_releases_are_shown_compared_and_opened(team: Team) -> None:
    """Names of variables, never values; links as far as they are plain https."""
    team.configure(
        'required = ["TOKEN"]', target='index = "company/dev"\nkeep = 3\nenv = { COLOUR = "s3cret" }'
    )
    library = [new_name("lib"), new_name("lib")]
    wheels = [
        linked(library[0], "1.0", "https://example.com/changes"),
        linked(library[1], "1.0", "javascript:x"),
    ]
    for dist in [*wheels, newer := linked(library[0], "2.0", "https://example.com/changes")]:
        team.upload(dist)
    team.upload(app_wheel("7.0", lock=locked(*wheels)))
    team.upload(app_wheel("7.1", procfile="web: python -m tiny\nworker: sleep 99\n", lock=locked(newer)))
    team.release("config", "set", "local", "TOKEN=hunter2")
    team.release("deploy", "local", f"{NAME}==7.0")
    assert "there is no good one before it" in team.release("diff", "local")
    team.release("config", "set", "local", "TOKEN=hunter3", "OTHER=x")
    team.release("deploy", "local", f"{NAME}==7.1")
    shown = team.release("show", "local")
    for part in ("tiny 7.1", "worker: sleep 99", "COLOUR", f"{library[0]} 2.0  https://example.com/changes"):
        assert part in shown
    assert [each["name"] for each in show(team, "3")["dependencies"]] == [library[0]]
    compared = team.release("diff", "local", "1", "3")
    for line in (
        "version       7.0 -> 7.1",
        f"~ {library[0]} 1.0 -> 2.0  https://example.com/changes",
        f"- {library[1]} 1.0",
        "+ OTHER",
        "~ TOKEN",
        "+ worker",
    ):
        assert line in compared
    assert "javascript" not in compared
    found = json.loads(team.release("diff", "local", "1", "3", "--json"))["hosts"][0]["difference"]
    assert found["variables"] == {"added": ["OTHER"], "changed": ["TOKEN"], "removed": []}
    everything = compared + shown + json.dumps(found) + json.dumps(show(team, "1"))
    assert not [secret for secret in ("hunter2", "hunter3", "s3cret") if secret in everything]
    team.release("config", "set", "local", "OTHER=y")
    listed = json.loads(team.release("releases", "local", "--json"))["hosts"][0]["releases"]
    assert [row["state"] for row in listed] == ["current", "good", "good", "pruned"]
    assert "only the journal knows it" in team.release("show", "local", "1")
    assert "has no release 99" in team.refused("show", "local", "99")
    words = {"COMP_WORDS": "release rollback local ", "COMP_CWORD": "3", "_RELEASE_COMPLETE": "bash_complete"}
    assert [line.partition(",")[2] for line in team.release(more=words).split()] == ["4", "3", "2"]
    words["COMP_WORDS"] = "release deploy local "
    assert f"plain,{NAME}==7.1" in team.release(more=words).split()
    assert "has no release 99" in team.refused("diff", "local", "99", "1")


def show(team: Team, number: str) -> Any:  # noqa: ANN401 (JSON)
    return json.loads(team.release("show", "local", number, "--json"))["hosts"][0]["releases"][0]


def linked(name: str, version: str, url: str) -> Dist:
    """A wheel that states where its changes are."""
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nProject-URL: Changes, {url}\n"
    return wheel(name, version, stated_metadata=head.encode())


def locked(*dists: Dist) -> bytes:
    """A lock of `dists`."""
    packages = "".join(
        f'[[packages]]\nname = "{dist.filename.split("-")[0]}"\nversion = "{dist.filename.split("-")[1]}"\n'
        f'wheels = [{{ path = "{dist.filename}", hashes = {{ sha256 = "{dist.sha256}" }} }}]\n'
        for dist in dists
    )
    return LOCK.replace(b"packages = []\n", packages.encode())


def test_the_public_address_is_printed_and_opened_where_there_is_a_display(team: Team) -> None:
    """A browser in the terminal would take it over."""
    assert "runs nothing" in team.refused("open", "local")
    team.upload(app_wheel("8.0"))
    team.configure(target='index = "company/dev"')
    team.release("deploy", "local", f"{NAME}==8.0")
    opened, browser = team.home / "opened", team.home / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    url = team.release("open").strip()
    assert url.startswith("http://127.0.0.1:")
    assert not opened.exists()
    assert team.release("open", "local", more={"BROWSER": f"{browser} %s"}).strip() == url
    wait_until("the browser", opened.exists)
    assert opened.read_text().strip() == url
    assert json.loads(team.release("open", "--json"))["urls"] == [url]
