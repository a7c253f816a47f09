"""Deploys to this machine with real wheels, uv, pip, circus and a client that never pauses."""

import getpass
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from release.host.disk import releases
from release.host.processes import process_table
from tests.support.dists import wheel
from tests.support.load_client import Load
from tests.support.local_target import Host, running_host
from tests.support.tiny_app import NAME, app_sdist, app_wheel
from tests.support.upstream import Listed


@pytest.fixture
def host(home: Path) -> Iterator[Host]:
    with running_host(home) as running:
        yield running


def test_the_first_deploy_serves(host: Host) -> None:
    """One command from a version on the index to a process that answers."""
    done = host.deploy("0.1.0")
    assert f"tiny 0.1.0 is release 1 on local: http://127.0.0.1:{host.port}" in done.stdout
    assert host.get() == "0.1.0"


def test_an_application_without_a_page_for_probes_deploys(host: Host) -> None:
    """Somebody else wrote it; which page was asked is said. One that release.toml names has to be there."""
    host.served.add(NAME, app_wheel("0.3.0", "plain"))
    assert "GET / was answered 200: switching to release 1" in host.deploy("0.3.0").stderr
    host.configure(health='path = "/healthz"\ntimeout = 2.0')
    said = host.deploy("0.3.0", status=1).stderr
    assert "the answer to GET /healthz (Host: localhost) was 404 Not Found: no such page" in said
    assert 'change [health] path = "/healthz" in release.toml.' in said


def test_without_a_version_the_newest_is_deployed(host: Host) -> None:
    """The usual case needs no argument; a withdrawn version and a pre-release are not what people mean."""
    host.served.add(NAME, Listed(app_wheel("0.9.0"), yanked="broken"), app_wheel("1.0.0rc1"))
    (host.project / "pyproject.toml").write_text(f'[project]\nname = "{NAME}"\n')
    host.release("deploy", "local")
    assert host.get() == "0.2.0"


def test_a_version_that_was_built_and_not_uploaded_is_named(host: Host) -> None:
    """An earlier one is deployed instead, which nobody expects who has just built."""
    (host.project / "pyproject.toml").write_text(f'[project]\nname = "{NAME}"\n')
    dist = host.project / "dist"
    dist.mkdir()
    for version, warns in (("0.1.5", False), ("0.3.0", True), ("0.3.0", False)):
        built = app_wheel(version)
        (dist / built.filename).write_bytes(built.content)
        said = host.release("deploy", "local").stderr
        warning = (
            f"Warning: dist/ has {NAME} {version}, which {host.served.index} has not: 0.2.0 is deployed."
        )
        assert (f"{warning} To bring it there: release upload" in said) is warns
        assert host.get() == ("0.3.0" if version == "0.3.0" and not warns else "0.2.0")
        if warns:
            host.served.add(NAME, built)


def test_no_request_fails_while_a_new_version_takes_over(host: Host) -> None:
    """The promise of the whole tool; slow requests in flight are finished by the old release."""
    host.deploy("0.1.0")
    with Load(host.port) as load, Load(host.port, "/slow") as slow:
        host.deploy("0.2.0")
        assert host.get() == "0.2.0"
    assert (load.failed, slow.failed) == (0, 0)
    assert load.sent > 50


@pytest.mark.parametrize(
    ("fault", "answer", "log"),
    [
        ("import", "its process keeps ending", "no module named luck"),
        ("500", "500 Internal Server Error: the database is on fire", "hello from 0.3.0"),
        ("deaf", "none: the process does not accept", "hello from 0.3.0"),
        ("tired", "500 Internal Server Error: the database is on fire", ""),
        ("done", "its process keeps ending", "hello from 0.3.0"),
    ],
)
def test_a_broken_release_leaves_the_old_one_serving(host: Host, fault: str, answer: str, log: str) -> None:
    """Users see nothing of it; who deployed sees the probe's last answer and the log's last lines."""
    host.served.add(NAME, app_wheel("0.3.0", fault))
    host.deploy("0.2.0")
    host.configure(health="timeout = 4.0")
    failed = host.deploy_in_vain("0.3.0", serves="0.2.0")
    assert answer in failed
    assert log in failed
    status = host.status()
    assert (status["state"], status["version"], status["release"]) == ("running", "0.2.0", 1)
    assert releases.is_ready(host.layout, 2), "the failed release is kept to look at"
    assert [path.name for path in host.layout.watchers.iterdir()] == ["web.1.ini"]


def test_the_first_release_of_all_may_be_broken(host: Host) -> None:
    """Nothing runs on that never was healthy, and the next version is deployed as if nothing had been."""
    host.served.add(NAME, app_wheel("0.0.1", "import"))
    host.deploy("0.0.1", status=1)
    assert not process_table.find(host.layout)
    assert host.status()["state"] == "none"
    host.deploy("0.1.0")
    assert host.get() == "0.1.0"


def test_the_same_again_does_nothing(host: Host) -> None:
    """Deploys may be repeated by scripts; another configuration is another release."""
    host.deploy("0.1.0")
    pids = host.status()["processes"][0]["pids"]
    (again,) = json.loads(host.release("deploy", "local", "tiny==0.1.0", "--json").stdout)["hosts"]
    assert (again["outcome"], again["release"]) == ("unchanged", 1)
    assert host.status()["processes"][0]["pids"] == pids
    host.configure(env='COLOUR = "blue"')
    host.deploy("0.1.0")
    assert (host.status()["release"], json.loads(host.get("/env"))["COLOUR"]) == (2, "blue")


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_version_that_is_only_an_sdist_is_installed_without_its_build_backend(
    host: Host, installer: str
) -> None:
    """Both kinds of artifact deploy, and a host builds neither; one without a wheel inside is refused."""
    trap = host.home / "built"
    host.configure(target=f'installer = "{installer}"')
    host.served.add(
        NAME,
        app_sdist("0.5.0", trap=str(trap)),
        app_sdist("0.6.0", trap=str(trap), wheel_inside=False),
    )
    host.deploy("0.5.0")
    assert "Upload a wheel of this version, too" in host.deploy_in_vain("0.6.0", serves="0.5.0")
    assert not trap.exists()
    assert releases.numbers(host.layout) == [1]


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_pip_installs_too(host: Host, kind: str) -> None:
    """`installer = "pip"`: for those who may not use uv."""
    host.served.add(NAME, app_sdist("0.5.0") if kind == "sdist" else app_wheel("0.5.0"))
    host.configure(target='installer = "pip"')
    host.deploy("0.5.0")
    assert host.get() == "0.5.0"


def test_dependencies_come_from_the_lock_with_their_hashes(host: Host) -> None:
    """A newer version on the index changes nothing, and a file that changed after locking is refused."""
    old, new = wheel("dep", "1.0"), wheel("dep", "1.1")
    host.served.add("dep", old, new)
    host.served.add(
        NAME, app_wheel("0.4.0", lock=_lock(old.sha256)), app_wheel("0.4.1", lock=_lock("0" * 64))
    )
    host.deploy("0.4.0")
    site = next(host.layout.release(1).glob("venv/lib/*/site-packages"))
    assert (site / "dep-1.0.dist-info").is_dir()
    for installer in ("uv", "pip"):
        host.configure(target=f'installer = "{installer}"')
        failed = host.deploy("0.4.1", status=1)
        assert "a file on the index is not the one that was locked" in failed.stderr
    assert host.get() == "0.4.0"
    assert releases.numbers(host.layout) == [1]


def _lock(sha256: str) -> bytes:
    filename = "dep-1.0-py3-none-any.whl"
    return (
        'lock-version = "1.0"\ncreated-by = "tests"\n[[packages]]\nname = "dep"\nversion = "1.0"\n'
        f'wheels = [{{ path = "wheels/{filename}", hashes = {{ sha256 = "{sha256}" }} }}]\n'
    ).encode()


def test_an_artifact_that_is_not_what_the_index_promised_is_refused(host: Host) -> None:
    """Somebody on the way, or on the index, changed it."""
    host.served.add(NAME, Listed(app_wheel("0.6.0"), hashes={"sha256": "0" * 64}))
    failed = host.deploy("0.6.0", status=1)
    assert "but 0000" in failed.stderr
    assert releases.numbers(host.layout) == []


def test_an_artifact_without_a_process_that_goes_on_is_refused(host: Host) -> None:
    """`release build` would not have made it; a host does not rely on that."""
    host.served.add(NAME, app_wheel("0.6.0", procfile="release: python -m tiny\n"))
    assert "no process type that goes on running" in host.deploy("0.6.0", status=1).stderr


def test_a_version_that_is_not_there_is_named(host: Host) -> None:
    """With what there is instead."""
    assert "has no tiny==9.9; it has 0.2.0, 0.1.0" in host.deploy("9.9", status=1).stderr


def test_an_index_that_is_down_is_named(host: Host) -> None:
    """Not a traceback of urllib3."""
    with host.served.refusing():
        failed = host.deploy("0.1.0", status=1)
    assert f"The index {host.served.index} cannot be reached: Connection refused" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_taken_port_is_named_with_its_setting(host: Host) -> None:
    """Before anything is installed."""
    with socket.create_server(("127.0.0.1", host.port)):
        failed = host.deploy("0.1.0", status=1)
    assert f"The port {host.port} of 127.0.0.1 cannot be used: somebody else listens there" in failed.stderr
    assert "targets.local.bind" in failed.stderr
    assert releases.numbers(host.layout) == []


def test_another_address_needs_a_stop(host: Host) -> None:
    """circusd cannot move a listener; after a stop it can."""
    host.deploy("0.1.0")
    before, host.port = host.port, host.port + 1
    host.configure()
    failed = host.deploy("0.2.0", status=1)
    assert f"cannot move from http://127.0.0.1:{before} to http://127.0.0.1:{host.port}" in failed.stderr
    assert "release stop local" in failed.stderr
    host.release("stop", "local")
    host.deploy("0.2.0")
    assert host.get() == "0.2.0"


def test_without_a_port_a_unix_socket_serves(host: Host) -> None:
    """For a host with nginx in front; group and owner may connect, others not."""
    host.configure()
    text = (host.project / "release.toml").read_text().replace(f"127.0.0.1:{host.port}", "unix")
    (host.project / "release.toml").write_text(text)
    host.deploy("0.1.0")
    host.deploy("0.2.0")
    assert (host.status()["url"], host.status()["address"]) == (None, str(host.layout.web))
    assert host.layout.web.stat().st_mode & 0o777 == 0o660


SECRET = "pa$1wor$D $(circus.env.x) ((circus.wid)) \"quoted\" 'single' ; # %(x)s\nsecond line ä"


def test_values_arrive_byte_for_byte_and_appear_nowhere_else(host: Host) -> None:
    """No shell, ini file or argument list ever sees a value, and the deployer's shell does not leak in."""
    host.configure(env=f"TOKEN = {json.dumps(SECRET)}")
    host.deploy("0.1.0")
    seen = json.loads(host.get("/env"))
    assert seen["TOKEN"] == SECRET
    assert "LEAK" not in seen
    assert "PORT" not in seen
    assert (seen["PACKHORSE_APP"], seen["PACKHORSE_RELEASE"]) == ("tiny", "1")
    assert seen["VIRTUAL_ENV"] == str(host.layout.release(1) / "venv")
    holders = [
        path
        for folder in (host.layout.folder, host.home / "run")
        for path in folder.rglob("*")
        if path.is_file() and b"pa$1wor" in path.read_bytes()
    ]
    assert holders == [host.layout.release(1) / "env.json"]
    assert holders[0].stat().st_mode & 0o777 == 0o600
    assert not [p for p in psutil.process_iter(["cmdline"]) if "pa$1wor" in str(p.info["cmdline"])]


@pytest.mark.parametrize(
    "line",
    [
        "GREETING=hi; echo starting as $USER | cat; export GREETING && exec python -m tiny",
        """GREETING=hi python -c "print('starting as $USER'); import tiny.__main__ as m; m.main()" """,
    ],
)
def test_a_shell_line_is_run_by_a_shell_and_leaves_no_orphan(host: Host, line: str) -> None:
    """`sh -c` under a supervisor usually leaves the server behind; the fixture looks for what is left."""
    host.served.add(NAME, app_wheel("0.7.0", procfile=f"web: {line}\n"))
    host.deploy("0.7.0")
    assert json.loads(host.get("/env"))["GREETING"] == "hi"
    assert f"starting as {getpass.getuser()}" in host.release("logs", "local").stdout
    with Load(host.port) as load:
        host.deploy("0.1.0")
    assert load.failed == 0
    assert {process.release for process in process_table.find(host.layout)} == {None, 2}


def test_a_shell_that_keeps_the_sockets_from_the_server_is_named(host: Host) -> None:
    """Servers take inherited sockets only if LISTEN_PID is their own process id."""
    host.served.add(NAME, app_wheel("0.7.0", procfile="web: true && python -m tiny\n"))
    assert "Write `exec` before the server" in host.deploy("0.7.0", status=1).stderr


def test_every_process_type_runs_and_goes_when_its_line_goes(host: Host) -> None:
    """A worker that is gone from the Procfile must not work on."""
    host.served.add(NAME, app_wheel("0.8.0", procfile="web: python -m tiny\nworker: sleep 1000\n"))
    host.deploy("0.8.0")
    rows = host.status()["processes"]
    assert [(row["process"], row["health"]) for row in rows] == [("web", "healthy"), ("worker", "healthy")]
    shown = host.release("status", "local").stdout.splitlines()
    assert shown[0] == f"tiny on local: running, tiny 0.8.0 (release 1), http://127.0.0.1:{host.port}"
    assert shown[1].split() == ["process", "release", "version", "pids", "health", "uptime", "address"]
    assert [line.split()[:3] for line in shown[2:]] == [["web", "1", "0.8.0"], ["worker", "1", "0.8.0"]]
    host.deploy("0.1.0")
    assert not process_table.wait(process_table.alive_of(rows[1]["pids"]), 0)


def test_only_the_releases_to_go_back_to_are_kept(host: Host) -> None:
    """Disks fill otherwise; failed ones have their own count and push no good one out."""
    host.served.add(NAME, app_wheel("0.3.0", "import"))
    host.configure(target="keep = 2")
    for version in ("0.1.0", "0.2.0", "0.3.0", "0.3.0", "0.3.0", "0.1.0"):
        host.deploy(version, status=None)
    assert releases.numbers(host.layout) == [2, 4, 5, 6]
    assert sorted(path.name for path in host.layout.logs.glob("web.*")) == [
        f"web.{number}.log" for number in (2, 4, 5, 6)
    ]


def test_stop_and_start(host: Host) -> None:
    """A stop lasts until a start or a deploy, whatever other commands run in between."""
    assert "never been deployed" in host.release("start", "local", status=1).stderr
    host.deploy("0.1.0")
    assert host.release("stop", "local").stdout == "tiny is stopped on local.\n"
    assert host.status()["state"] == "stopped"
    assert not process_table.find(host.layout)
    assert str(host.port) in host.release("start", "local").stdout
    assert host.get() == "0.1.0"
    host.release("stop", "local")
    host.deploy("0.2.0")
    assert host.status()["state"] == "running"
    assert host.get() == "0.2.0"


def test_a_script_can_read_what_every_command_did(host: Host) -> None:
    """In one form for all of them; logs, which may have no end, line by line."""
    host.deploy("0.1.0")
    for command in ("stop", "start", "status", "releases"):
        (answer,) = json.loads(host.release(command, "local", "--json").stdout)["hosts"]
        assert (answer["host"], answer["outcome"], answer["app"]) == ("local", "done", NAME)
    line = host.release("logs", "local", "-n", "1", "--json").stdout
    written = json.loads(line)
    assert (written["host"], written["process"], written["release"]) == ("local", "web", 1)
    assert written["text"] == "and this on stderr"


def test_a_failed_deploy_leaves_a_stopped_application_stopped(host: Host) -> None:
    """Whoever stopped it had a reason."""
    host.served.add(NAME, app_wheel("0.3.0", "import"))
    host.deploy("0.1.0")
    host.release("stop", "local")
    host.deploy("0.3.0", status=1)
    assert host.status()["state"] == "stopped"
    assert not process_table.find(host.layout)
