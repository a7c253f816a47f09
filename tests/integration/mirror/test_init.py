"""`mirror init` with real servers: repeatable, repairable, and alone."""

import json
import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
import requests

from mirror import state
from tests.support.dists import wheel
from tests.support.servers import BIN, Mirror, clean_environment, free_port, run_command, wait_until

MIRROR = BIN / "mirror"


def _init(home: Path, *, status: int | None = 0, **more: str) -> subprocess.CompletedProcess[str]:
    return run_command(MIRROR, "init", env=clean_environment(home, **more), cwd=home, status=status)


def _start_init(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [MIRROR, "init"],
        cwd=home,
        env=clean_environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _works(home: Path) -> None:
    """Serve what is in `home`; every password opens it, and nothing is left to change."""
    (home / "mirror.toml").write_text(f"port = {free_port()}\n")
    environment = clean_environment(home)
    run_command(MIRROR, "serve", "--background", env=environment, cwd=home)
    try:
        kept = state.read_credentials(state.Folder(home))
        assert kept is not None
        assert sorted(kept.users) == ["company", "root"]
        for user, password in kept.users.items():
            body = {"user": user, "password": password}
            assert requests.post(f"{kept.url}/+login", json=body, timeout=10).status_code == 200
        assert _init(home).stdout == "nothing to change\n"
    finally:
        run_command(MIRROR, "stop", env=environment, cwd=home)


def test_init_says_what_it_changed_and_changes_nothing_the_second_time(home: Path) -> None:
    """It may be run at any time, by people and by provisioning tools."""
    assert _init(home).stdout.splitlines() == [
        f"created {home}/mirror/server",
        "created user company",
        "changed index root/pypi: mirror_no_project_list none -> true",
        "created index company/prod (not volatile, bases: root/pypi)",
        "created index company/dev (volatile, bases: company/prod)",
    ]
    assert _init(home).stdout == "nothing to change\n"
    _works(home)


def test_secrets_are_readable_by_their_owner_alone(home: Path) -> None:
    """The password hashes are in devpi's database, which it leaves open to everybody."""
    _init(home)
    root = home / "mirror"
    for path in (root, root / "credentials.json", root / "secret"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_init_changes_a_server_that_runs(fresh_mirror: Mirror) -> None:
    """A new index must not need a pause."""
    settings = fresh_mirror.home / "mirror.toml"
    settings.write_text(
        settings.read_text()
        + '[users.company]\nemail = "python@example.com"\n[users.alice]\n'
        + '[indexes."company/prod"]\nbases = ["root/pypi"]\nvolatile = false\n'
        + '[indexes."alice/dev"]\nbases = ["company/prod"]\nacl_upload = ["alice", "company"]\n'
    )
    done = fresh_mirror.run(MIRROR, "init", cwd=fresh_mirror.home)
    assert done.stdout.splitlines() == [
        "changed user company: email none -> python@example.com",
        "created user alice",
        "created index alice/dev (volatile, bases: company/prod)",
    ]
    left = (
        "besides those of mirror.toml, and left alone until `mirror index remove` or `mirror user remove`: "
    )
    assert done.stderr.splitlines() == [f"read {settings}", f"{left}index company/dev"]
    login = ("root", fresh_mirror.credentials["root"])
    users = requests.get(
        fresh_mirror.url, headers={"Accept": "application/json"}, auth=login, timeout=10
    ).json()["result"]
    assert users["alice"]["indexes"]["dev"]["acl_upload"] == ["alice", "company"]
    assert "dev" in users["company"]["indexes"]
    settings.write_text((text := settings.read_text()) + '[upstream]\nurl = "http://127.0.0.1:9/"\n')
    upstream = users["root"]["indexes"]["pypi"]["mirror_url"]
    for line in (f"{upstream} -> http://127.0.0.1:9/", f"http://127.0.0.1:9/ -> {upstream}"):
        done = fresh_mirror.run(MIRROR, "init", cwd=fresh_mirror.home)
        assert done.stdout == f"changed index root/pypi: mirror_url {line}\n"
        settings.write_text(text)
    assert fresh_mirror.run(MIRROR, "init", cwd=fresh_mirror.home).stdout == "nothing to change\n"


def test_an_index_that_mirror_toml_does_not_name_any_more_can_be_removed(fresh_mirror: Mirror) -> None:
    """A name with a typing mistake has made it; what was uploaded there goes on demand alone."""
    settings = fresh_mirror.home / "mirror.toml"
    settings.write_text(
        (text := settings.read_text()) + '[indexes."company/dve"]\nvolatile = false\nread = []\n'
    )

    def run(*arguments: str | Path, status: int = 0) -> str:
        done = fresh_mirror.run(MIRROR, *arguments, cwd=fresh_mirror.home, status=status)
        return done.stdout + done.stderr

    assert "created index company/dve" in run("init")
    assert "company/dve is declared in mirror.toml" in run(
        "index", "remove", "company/dve", "--yes", status=1
    )
    settings.write_text(text)
    assert "index company/dve" in run("init")
    login = ("company", fresh_mirror.credentials["company"])
    url = f"{fresh_mirror.url}/company/dve/"
    form = {":action": "file_upload", "name": "demo", "version": "1.0", "metadata_version": "2.1"}
    dist = wheel("demo", "1.0")
    content = {"content": (dist.filename, dist.content)}
    sent = requests.post(url, data=form, files=content, auth=login, timeout=10)
    assert sent.status_code == 200, sent.text
    refused = run("index", "remove", "company/dve", status=1)
    assert refused.startswith("Error: company/dve has uploads of demo. Nobody can be asked here.")
    assert run("index", "remove", "company/dve", "--yes") == "removed index company/dve\n"
    assert run("init") == f"nothing to change\nread {settings}\n"


def test_init_waits_for_a_server_that_starts(fresh_mirror: Mirror) -> None:
    """systemd calls a service started as soon as its program is: provisioning restarts it, then runs this."""
    fresh_mirror.run(MIRROR, "stop")
    with (fresh_mirror.home / "starting.log").open("w") as log:
        environment = clean_environment(fresh_mirror.home)
        command: list[str | Path] = [MIRROR, "serve"]
        started = subprocess.Popen(
            command, cwd=fresh_mirror.home, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    folder = state.Folder(fresh_mirror.home)
    try:
        wait_until("the server to take the lock", lambda: state.read_serving(folder))
        assert fresh_mirror.run(MIRROR, "init", cwd=fresh_mirror.home).stdout == "nothing to change\n"
    finally:
        fresh_mirror.run(MIRROR, "stop")
        started.wait(timeout=30)


def test_strangers_cannot_create_users(mirror_server: Mirror) -> None:
    """devpi's default lets anybody who reaches the port have an index."""
    answer = requests.put(f"{mirror_server.url}/stranger", json={"password": "123"}, timeout=10)
    assert answer.status_code in {401, 403}


@pytest.mark.parametrize("moment", [0.2, 0.8, 1.4])
def test_an_init_killed_at_any_moment_is_repaired_by_the_next(home: Path, moment: float) -> None:
    """kill -9, as the kernel does it when memory is short; its server must not live on either."""
    started = _start_init(home)
    time.sleep(moment)
    started.kill()
    started.communicate()
    _init(home)
    _works(home)


@pytest.mark.parametrize("after", ["created /", "created user", "changed index", "created index"])
def test_an_init_killed_after_any_of_its_steps_is_repaired_by_the_next(home: Path, after: str) -> None:
    """The same at moments that do not depend on the speed of this machine."""
    started = _start_init(home)
    assert started.stdout is not None
    while not started.stdout.readline().startswith(after):
        pass
    started.kill()
    started.communicate()
    _init(home)
    _works(home)


def test_ctrl_c_in_init_says_that_a_second_run_works_and_it_does(home: Path) -> None:
    """The terminal sends it to the whole process group."""
    started = _start_init(home)
    assert started.stdout is not None
    started.stdout.readline()
    os.killpg(started.pid, signal.SIGINT)
    _, error = started.communicate(timeout=60)
    assert started.returncode == 130
    noted, _, error = error.partition("\n")
    assert noted == f"no {home}/mirror.toml: all settings are the defaults"
    assert error.lstrip() == "Interrupted.\nNothing is left half done: run the command again.\n"
    assert wait_until("its server to end", lambda: not state.held(home / "mirror" / "lock"))
    _init(home)
    _works(home)


def test_of_two_inits_at_once_one_waits_and_says_so(home: Path) -> None:
    """Two passwords for one user would be one too many."""
    first, second = _start_init(home), _start_init(home)
    outputs = [process.communicate(timeout=60) for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert sorted(output.count("\n") for output, _ in outputs) == [1, 5]
    assert sorted(error.count("waiting for another `mirror init` to end\n") for _, error in outputs) == [0, 1]
    _works(home)


def test_lost_credentials_are_an_error_with_a_way_out_that_works(home: Path) -> None:
    """The way out is taken literally here: devpi-passwd, the variable, --new-password."""
    _init(home)
    (home / "mirror" / "credentials.json").unlink()
    lost = _init(home, status=1)
    assert f"Error: The mirror has data, but {home}/mirror/credentials.json has no password" in lost.stderr
    assert f"devpi-passwd --serverdir {home}/mirror/server root" in lost.stderr
    subprocess.run(
        [BIN / "devpi-passwd", "--serverdir", home / "mirror" / "server", "root"],
        input="changed\nchanged\n",
        text=True,
        start_new_session=True,  # without a terminal it reads the password from its standard input
        capture_output=True,
        check=True,
    )
    wrong = _init(home, status=1, MIRROR_INIT_ROOT_PASSWORD="guessed")
    assert "does not accept the password of root" in wrong.stderr
    half = _init(home, status=1, MIRROR_INIT_ROOT_PASSWORD="changed")
    assert "lacks the right password of company" in half.stderr
    run_command(MIRROR, "init", "--new-password", "company", env=clean_environment(home), cwd=home)
    _works(home)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("prot = 1", 'prot: unknown key, did you mean "port"?'),
        ("port = '1'", "port: input should be a valid integer"),
        ("[indexes.'company/dev']\nbase = 1", 'indexes.company/dev.base: unknown key, did you mean "bases"?'),
    ],
)
def test_a_mistake_in_mirror_toml_is_two_lines_and_nothing_is_made(home: Path, text: str, line: str) -> None:
    """What, then what to do; the exit status is not 0."""
    settings = home / "mirror.toml"
    settings.write_text(text)
    done = _init(home, status=1)
    assert done.stderr == f"Error: {settings}: {line}\nHint: Correct {settings} and run the command again.\n"
    assert list(home.iterdir()) == [settings]


def test_an_init_that_fails_leaves_no_server_behind(home: Path) -> None:
    """Its server is its own affair."""
    _init(home)
    (home / "mirror" / "credentials.json").write_text(json.dumps({"url": "x", "users": {"root": "wrong"}}))
    _init(home, status=1)
    assert not state.held(home / "mirror" / "lock")
