"""The promises of release.deploy.requests: the controller's half of a deploy."""

import json
from pathlib import Path

import pytest
from packaging.version import Version

from packhorse.errors import PackhorseError
from release.config import release_toml, targets
from release.deploy import requests
from release.deploy.requests import Requirement
from release.host import request as host_request
from release.index import File

INDEX = "https://pypi.example.com/company/dev"


def file(filename: str, *, sha256: str | None = "a" * 64, yanked: bool = False) -> File:
    return File(filename, f"{INDEX}/+f/{filename}", sha256, own=True, yanked=yanked)


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
    assert found["version"] == "1.10"
    assert [entry["filename"] for entry in found["files"]] == ["a-1.10.tar.gz", "a-1.10-py3-none-any.whl"]


def test_who_names_a_withdrawn_version_or_a_pre_release_gets_it() -> None:
    """Going back to it may be the way out of something worse."""
    files = [file("a-1.0.tar.gz"), file("a-1.1.tar.gz", yanked=True), file("a-2.0rc1.tar.gz")]
    for text in ("1.1", "2.0rc1"):
        assert requests.artifact(files, Requirement("a", Version(text)), INDEX)["version"] == text
    assert requests.artifact(files[2:], Requirement("a", None), INDEX)["version"] == "2.0rc1"


def test_a_version_that_is_not_there_is_an_error_that_names_what_is() -> None:
    """Most often it was not uploaded yet."""
    with pytest.raises(PackhorseError, match=r"has no a==3; it has 1\.10, 1\.9"):
        requests.artifact(
            [file("a-1.9.tar.gz"), file("a-1.10.tar.gz")], Requirement("a", Version("3")), INDEX
        )
    with pytest.raises(PackhorseError, match="has no a; it has no version at all"):
        requests.artifact([], Requirement("a", None), INDEX)


def test_the_agent_understands_the_request() -> None:
    """Both ends are written by hand: this is where they meet."""
    settings = release_toml.ReleaseConfig(app="shop")
    target = targets.Target(bind="127.0.0.1:8000", env={"A": "1"})
    found = requests.artifact([file("a-1.0.tar.gz")], Requirement("a", None), INDEX)
    sent = json.loads(
        json.dumps(requests.deploy_request(settings, target, found, INDEX, Path("/home/ann/ph")))
    )
    layout, read = host_request.layout(sent), host_request.deploy(sent)
    assert (layout.folder, layout.sockets) == (Path("/home/ann/ph/apps/shop"), Path("/home/ann/ph/run/shop"))
    assert (read.project, read.version, read.bind, read.env) == ("a", "1.0", ("127.0.0.1", 8000), {"A": "1"})
    assert read.index_url == f"{INDEX}/+simple/"
    assert (read.health.path, read.installer, read.keep) == ("/healthz", "uv", 5)


def test_another_protocol_is_refused() -> None:
    """An old agent on a host must not guess what a newer controller means."""
    with pytest.raises(PackhorseError, match=r"speaks protocol [0-9]+, the request protocol 99"):
        host_request.layout(
            {**requests.request("stop", "shop", targets.Target(), Path("/h")), "protocol": 99}
        )


def test_hosts_keep_applications_at_one_place() -> None:
    """Provisioning makes it; nobody configures it."""
    request = requests.request("stop", "shop", targets.Target(hosts=["web1"]), Path("/h"))
    layout = host_request.layout(request)
    assert (layout.folder, layout.sockets) == (Path("/srv/apps/shop"), Path("/run/shop"))


def test_the_release_phase_runs_on_the_first_host_only() -> None:
    """A migration twice at the same time is none."""
    by_host = requests.with_release_phase({"command": "deploy"}, ["web2", "web1"])
    assert {host: request["release_phase"] for host, request in by_host.items()} == {
        "web2": True,
        "web1": False,
    }


def test_a_plan_stops_at_no_gate() -> None:
    """It takes no lock either."""
    assert requests.Options(plan=True).as_dict()["gates"] == []
    assert requests.Options(wait=5).as_dict()["lock_wait"] == 5


def test_the_probe_names_the_domain_that_requests_will_name() -> None:
    """Django answers 400 to a host that it does not know."""
    target = targets.Target(hosts=["web1"], domains=["shop.example.com"])
    for settings, expected in (
        (release_toml.ReleaseConfig(app="shop"), "shop.example.com"),
        (release_toml.ReleaseConfig(app="shop", health=release_toml.Health(host="probe")), "probe"),
    ):
        request = requests.deploy_request(settings, target, {"version": "1", "files": []}, INDEX, Path("/h"))
        assert request["health"]["host"] == expected


def test_a_process_type_stops_as_long_as_the_target_says() -> None:
    """Unless it says so itself."""
    processes = {
        "worker": targets.ProcessSettings(overlap=True),
        "clock": targets.ProcessSettings(stop_timeout=1.0),
    }
    target = targets.Target(graceful_timeout=7.0, processes=processes)
    request = requests.deploy_request(release_toml.ReleaseConfig(app="a"), target, {}, INDEX, Path("/h"))
    assert request["processes"] == {
        "worker": {"overlap": True, "stop_timeout": 7.0},
        "clock": {"overlap": False, "stop_timeout": 1.0},
    }
