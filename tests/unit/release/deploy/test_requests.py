"""The promises of release.deploy.requests: the controller's half of a deploy."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.version import Version

from packhorse.errors import PackhorseError
from release.config import release_toml
from release.config.target.processes import ProcessSettings
from release.config.target.target import Target
from release.deploy import requests
from release.deploy.requests import Requirement
from release.host.disk.manifest import Content, ReplacementRule
from release.host.request import Check, Rollback, Stop, decode, encode
from release.index import ListedFile

INDEX = "https://pypi.example.com/company/dev"


def file(
    filename: str,
    *,
    sha256: str | None = "a" * 64,
    yanked: bool = False,
    index: str = INDEX,
    company: bool = True,
) -> ListedFile:
    """A file of `index`, which is by default the one that was asked."""
    own = index == INDEX
    return ListedFile(filename, f"{index}/+f/{filename}", sha256, index, own, yanked, company)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("Sample_App", Requirement("sample-app", None)), ("a==1.0", Requirement("a", Version("1.0")))],
)
def test_a_version_is_named_as_pip_names_it(text: str, wanted: Requirement) -> None:
    """People know the notation."""
    assert requests.parse(text) == wanted


@pytest.mark.parametrize(
    "text", ["a>=1.0", "a==1.*", "a[x]==1.0", "a==1.0,==1.1", "-", "a @ https://example.com/a.whl"]
)
def test_anything_but_one_version_is_refused(text: str) -> None:
    """A deploy is of one version: a range would be another one tomorrow."""
    with pytest.raises(PackhorseError) as error:
        requests.parse(text)
    assert "NAME==VERSION" in error.value.hint


def test_the_newest_version_is_neither_withdrawn_nor_a_pre_release() -> None:
    """As pip chooses."""
    files = [
        *(
            file("a-1.9.tar.gz"),
            file("a-1.10.tar.gz"),
            file("a-1.10-py3-none-any.whl"),
            file("a-2.0rc1.tar.gz"),
        ),
        *(file("a-1.11.tar.gz", yanked=True), file("a-1.12.tar.gz", sha256=None), file("a-1.12.exe")),
    ]
    found = requests.artifact(files, Requirement("a", None), INDEX)
    assert found.version == "1.10"
    assert [entry.filename for entry in found.files] == ["a-1.10.tar.gz", "a-1.10-py3-none-any.whl"]


def test_who_names_a_withdrawn_version_or_a_pre_release_gets_it() -> None:
    """Going back to it may be the way out of something worse."""
    files = [file("a-1.0.tar.gz"), file("a-1.1.tar.gz", yanked=True), file("a-2.0rc1.tar.gz")]
    for text in ("1.1", "2.0rc1"):
        assert requests.artifact(files, Requirement("a", Version(text)), INDEX).version == text
    assert requests.artifact(files[2:], Requirement("a", None), INDEX).version == "2.0rc1"


def test_a_version_that_is_not_there_is_an_error_that_names_what_is() -> None:
    """Most often it was not uploaded yet."""
    with pytest.raises(PackhorseError, match=r"has no a==3; it has 1\.10, 1\.9"):
        requests.artifact(
            [file("a-1.9.tar.gz"), file("a-1.10.tar.gz")], Requirement("a", Version("3")), INDEX
        )
    with pytest.raises(PackhorseError, match="has no a; it has no version at all"):
        requests.artifact([], Requirement("a", None), INDEX)


PROD, UPSTREAM = "https://pypi.example.com/company/prod", "https://pypi.example.com/root/pypi"


@pytest.mark.parametrize("text", ["a", "a==99.0"])
def test_a_version_that_only_an_upstream_has_is_not_deployed(text: str) -> None:
    """Anybody may register the name of a company's project on a public index."""
    strangers = [file("a-99.0-py3-none-any.whl", index=UPSTREAM, company=False)]
    with pytest.raises(PackhorseError, match=r"shows a(==99\.0)? of an upstream only") as caught:
        requests.artifact(strangers, requests.parse(text), INDEX)
    assert "release upload" in caught.value.hint


def test_a_higher_version_of_an_upstream_changes_nothing() -> None:
    """An index may merge both, by devpi's mirror_whitelist."""
    both = [file("a-99.0.tar.gz", index=UPSTREAM, company=False), file("a-1.0.tar.gz", index=PROD)]
    found = requests.artifact(both, Requirement("a", None), INDEX)
    assert (found.version, found.index) == ("1.0", PROD)
    with pytest.raises(PackhorseError, match=r"has no a==2\.0; it has 1\.0"):
        requests.artifact(both, Requirement("a", Version("2.0")), INDEX)


def test_a_version_that_was_promoted_takes_no_file_of_another_index() -> None:
    """Who may upload to company/dev adds a wheel to the sdist on company/prod, and hosts prefer it."""
    files = [file("a-1.0.tar.gz", index=PROD), file("a-1.0.0-py3-none-any.whl")]
    with pytest.raises(PackhorseError, match=r"lie on .*/company/dev, others on .*/company/prod"):
        requests.artifact(files, Requirement("a", None), INDEX)


def test_a_version_with_another_content_on_a_base_is_not_deployed() -> None:
    """It hides what was promoted; other versions are not concerned."""
    files = [replace(file("a-1.0.tar.gz"), differs=PROD), file("a-0.9.tar.gz")]
    with pytest.raises(PackhorseError, match=r"a-1.0.tar.gz is not the same file on .*/dev and on .*/prod"):
        requests.artifact(files, Requirement("a", None), INDEX)
    assert requests.artifact(files, Requirement("a", Version("0.9")), INDEX).index == INDEX


@pytest.mark.parametrize(
    "filename", ["../../a-1.0.tar.gz", "a-1.0-py3-none-any/../x.whl", "a-1.0-py3-none-\n.whl", "b-1.0.tar.gz"]
)
def test_a_file_name_that_is_none_of_the_project_is_not_deployed(filename: str) -> None:
    """It comes from the index's page, and becomes a path on the hosts."""
    with pytest.raises(PackhorseError, match="has no a; it has no version at all"):
        requests.artifact([file(filename)], Requirement("a", None), INDEX)


def test_the_journal_learns_who_is_behind_a_job_of_ci(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line; in containers, users may have no name."""

    def no_name() -> str:
        raise OSError("No username set in the environment")

    def by() -> str:
        return requests.request(Stop, "shop", Target(), tmp_path, target_name="local").by

    monkeypatch.setattr("getpass.getuser", no_name)
    assert by().startswith("uid ")
    monkeypatch.setenv("RELEASE_BY", "ann by CI\nmallory")
    assert by() == "ann by CI mallory"


def content(settings: release_toml.ReleaseConfig, target: Target) -> Content:
    return requests.content(settings, target, requests.Artifact("a", "1.0", []), {})


def test_a_deploy_is_made_of_what_release_toml_says() -> None:
    """And of the files of the version. What is brought wins over `env`, and stays out of the target."""
    target = Target(env={"A": "1", "B": "1"}, graceful_timeout=7.0)
    found = requests.artifact([file("a-1.0.tar.gz")], Requirement("a", None), INDEX)
    made = requests.content(release_toml.ReleaseConfig(app="shop"), target, found, {"B": "hunter2"})
    assert (made.project, made.version, made.installer) == ("a", "1.0", "uv")
    assert made.env == {"A": "1", "B": "hunter2"}
    assert "hunter2" not in f"{made}{target}"
    assert (made.health.path, made.graceful_timeout) == (None, 7.0)
    assert made.files[0].url == f"{INDEX}/+f/a-1.0.tar.gz"


@pytest.mark.parametrize(
    ("target", "folder", "sockets"),
    [
        (Target(hosts=["web1"]), "/srv/apps/shop", "/run/shop"),
        (Target(), "/home/ann/ph/apps/shop", "/home/ann/ph/run/shop"),
    ],
)
def test_hosts_keep_applications_at_one_place(target: Target, folder: str, sockets: str) -> None:
    """Provisioning makes it; nobody configures it."""
    layout = requests.request(Stop, "shop", target, Path("/home/ann/ph"), target_name="t").layout
    assert (str(layout.folder), str(layout.sockets)) == (folder, sockets)


def test_the_release_phase_runs_on_the_first_host_only() -> None:
    """A migration twice at the same time is none."""
    change = rollback()
    by_host = requests.with_release_phase(change, ["web2", "web1"], "web1")
    assert by_host == {"web2": change, "web1": replace(change, release_phase=False, runs_jobs=True)}


def rollback(**fields: object) -> Rollback:
    target = Target(hosts=["web1"])
    own = {"release": None, "index_url": None, "target_name": "t"}
    return requests.change(Rollback, "shop", target, Path("/h"), **own, **fields)


def test_a_plan_takes_no_lock_and_starts_nothing() -> None:
    """It only has to agree on what would be done."""
    assert rollback(plan=True).gates == ["agreement"]
    assert rollback(lock_wait=5.0).gates == ["lock", "agreement", "start", "verdict"]


def test_every_command_has_a_key_of_its_own() -> None:
    """Digests that were made with it say nothing to anybody later."""
    assert rollback().key != rollback().key


def test_the_probe_names_the_domain_that_requests_will_name() -> None:
    """Django answers 400 to a host that it does not know."""
    target = Target(hosts=["web1"], domains=["shop.example.com"])
    for settings, expected in (
        (release_toml.ReleaseConfig(app="shop"), "shop.example.com"),
        (release_toml.ReleaseConfig(app="shop", health=release_toml.Health(host="probe")), "probe"),
    ):
        assert content(settings, target).health.host == expected


def test_a_process_type_stops_as_long_as_the_target_says() -> None:
    """Unless it says so itself."""
    processes = {
        "worker": ProcessSettings(overlap=True),
        "clock": ProcessSettings(stop_timeout=1.0),
    }
    target = Target(graceful_timeout=7.0, processes=processes)
    assert content(release_toml.ReleaseConfig(app="a"), target).rules == {
        "worker": ReplacementRule(overlap=True, stop_timeout=7.0),
        "clock": ReplacementRule(overlap=False, stop_timeout=1.0),
    }


def test_every_change_brings_the_checks_of_today() -> None:
    """They are no content of a release: a rollback does not take those of then, and no other host's."""
    worker = ProcessSettings(check_uptime=10.0, check_command=["ping"])
    target = Target(hosts=["web1"], processes={"worker": worker})
    own = {"release": None, "index_url": None, "target_name": "t"}
    made = requests.change(Rollback, "shop", target, Path("/h"), **own)
    assert made.checks == {"worker": Check(10.0, ["ping"], 30.0)}
    assert decode(json.loads(encode(made))) == made


@pytest.mark.parametrize("yanked", [False, True])
def test_a_version_that_was_taken_back_is_known_as_such(*, yanked: bool) -> None:
    """Who names it gets it, and a warning."""
    found = requests.artifact([file("a-1.1.tar.gz", yanked=yanked)], requests.parse("a==1.1"), INDEX)
    assert found.yanked is yanked


@pytest.mark.parametrize("text", ["0.3.0", "1.0rc1", "2024.1.post1"])
def test_a_version_alone_is_refused_with_the_form_to_write(text: str) -> None:
    """As a name of a project nobody means it."""
    with pytest.raises(PackhorseError) as caught:
        requests.parse(text)
    assert "NAME==VERSION" in str(caught.value.hint)
