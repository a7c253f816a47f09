"""`mirror serve`, `stop` and `status` with a real devpi-server."""

import json
import os
import socket
import subprocess
from pathlib import Path

import requests

from mirror import state
from tests.support.servers import (
    BIN,
    Mirror,
    clean_environment,
    copy_data,
    free_port,
    run_command,
    wait_until,
)

MIRROR = BIN / "mirror"


def test_a_mirror_made_by_init_and_serve_answers_and_has_the_declared_indexes(mirror_server: Mirror) -> None:
    """Everything else stands on this."""
    report = json.loads(mirror_server.run(MIRROR, "status", "--json").stdout)
    assert (report["url"], report["serves"]) == (mirror_server.url, True)
    assert [(index["name"], index["bases"], index["volatile"]) for index in report["indexes"]] == [
        ("company/dev", ["company/prod"], True),
        ("company/prod", ["root/pypi"], False),
        ("root/pypi", [], False),
    ]
    assert report["upstream"]["answers"] is True


def test_serve_becomes_devpi_server_and_answers(home: Path) -> None:
    """One process: a supervisor's signals and its restart reach the server itself."""
    port = free_port()
    environment = clean_environment(home)
    run_command(MIRROR, "init", env=environment, cwd=home)
    with subprocess.Popen(
        [MIRROR, "serve", "--port", str(port)], env=environment, cwd=home, stderr=subprocess.DEVNULL
    ) as server:
        try:
            wait_until("the mirror to answer", lambda: _answers(f"http://127.0.0.1:{port}/+api"))
            report = json.loads(run_command(MIRROR, "status", "--json", env=environment).stdout)
            assert report["pid"] == server.pid
            arguments = Path(f"/proc/{server.pid}/cmdline").read_bytes()
            assert b"devpi_server" in arguments
            for password in json.loads((home / "mirror" / "credentials.json").read_text())["users"].values():
                assert password.encode() not in arguments
        finally:
            server.terminate()
    stopped = run_command(MIRROR, "status", "--json", env=environment, status=3)
    assert json.loads(stopped.stdout)["pid"] is None


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.ConnectionError:
        return False


def test_without_an_environment_the_mirror_still_reaches_its_upstream(home: Path) -> None:
    """systemd and cron set no SSL_CERT_FILE; the machine's certificates must count all the same."""
    port = free_port()
    bare = {"PACKHORSE_HOME": str(home), "PATH": os.environ["PATH"]}
    run_command(MIRROR, "init", env=bare, cwd=home)
    run_command(MIRROR, "serve", "--background", "--port", str(port), env=bare, cwd=home)
    try:
        page = requests.get(f"http://127.0.0.1:{port}/company/dev/+simple/six/", timeout=60)
        assert (page.status_code, "six-1.16.0" in page.text) == (200, True)
        report = json.loads(run_command(MIRROR, "status", "--json", env=bare).stdout)
        assert report["upstream"]["status"] == 200
    finally:
        run_command(MIRROR, "stop", env=bare)


def test_a_mirror_that_serves_is_not_started_twice(mirror_server: Mirror) -> None:
    """Two servers on one set of data would destroy it."""
    for more in ([], ["--background"]):
        done = mirror_server.run(MIRROR, "serve", *more, "--port", str(free_port()), status=1)
        what, hint = done.stderr.splitlines()
        assert what.startswith(f"Error: The mirror already serves at {mirror_server.url} (process ")
        assert "mirror stop" in hint


def test_a_port_that_is_taken_is_named_with_what_to_do(home: Path) -> None:
    """The usual cause is another devpi on 3141."""
    environment = clean_environment(home)
    copy_data(state.Folder(home))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        for more in ([], ["--background"]):
            done = run_command(MIRROR, "serve", "--port", port, *more, env=environment, cwd=home, status=1)
            what, hint = done.stderr.splitlines()
            assert what == f"Error: Cannot listen on 127.0.0.1 port {port}: Address already in use."
            assert "mirror.toml" in hint


def test_serving_while_an_init_works_says_so(home: Path) -> None:
    """Its server is gone in a moment; "already serving" would send the user the wrong way."""
    environment = clean_environment(home)
    copy_data(state.Folder(home))
    lock = state.try_lock(home / "mirror" / "lock")
    assert lock is not None
    try:
        done = run_command(MIRROR, "serve", "--port", str(free_port()), env=environment, cwd=home, status=1)
    finally:
        os.close(lock)
    assert done.stderr.startswith(f"Error: A `mirror init` is at work in {home}/mirror.\nHint: ")


def test_serving_before_init_is_two_lines_that_name_init(home: Path) -> None:
    """The first thing that somebody tries."""
    done = run_command(MIRROR, "serve", env=clean_environment(home), cwd=home, status=1)
    assert done.stderr == (
        f"Error: There is no mirror in {home}/mirror yet.\nHint: Make it with `mirror init`.\n"
    )


def test_a_server_that_cannot_start_says_why_and_shows_no_line_of_another_start(home: Path) -> None:
    """Who started it in the background sees nothing else."""
    environment = clean_environment(home)
    copy_data(state.Folder(home))
    (home / "mirror" / "server" / ".serverversion").write_text("1")
    (home / "mirror" / "server.log").write_text("fatal: of another start\n")
    serve = ("serve", "--background", "--port", str(free_port()))
    done = run_command(MIRROR, *serve, env=environment, cwd=home, status=1)
    what, *_, hint = done.stderr.splitlines()
    assert what.startswith(
        "Error: The mirror ended with exit status 1 instead of serving: Incompatible state"
    )
    assert f"{home}/mirror/server.log" in hint
    (home / "mirror" / "server" / ".serverversion").unlink()
    (home / "mirror" / "server" / ".serverversion").mkdir()
    done = run_command(MIRROR, *serve, env=environment, cwd=home, status=1)
    *traceback, what, hint = done.stderr.splitlines()
    assert "another start" not in done.stderr
    assert "IsADirectoryError" in traceback[-1]
    assert what == "Error: The mirror ended with exit status 1 instead of serving."


def test_stop_ends_the_server_and_may_be_repeated(fresh_mirror: Mirror) -> None:
    """`make demo-stop`."""
    assert fresh_mirror.run(MIRROR, "stop").stdout.startswith(f"stopped {fresh_mirror.url} (process ")
    assert not _answers(f"{fresh_mirror.url}/+api")
    assert fresh_mirror.run(MIRROR, "stop").stdout == "no mirror serves\n"


def test_a_killed_server_starts_again_at_another_port_and_clients_find_it(fresh_mirror: Mirror) -> None:
    """The lock dies with its process, and credentials.json follows the address."""
    report = json.loads(fresh_mirror.run(MIRROR, "status", "--json").stdout)
    os.kill(report["pid"], 9)
    wait_until(
        "the kill to be noticed", lambda: fresh_mirror.run(MIRROR, "status", status=None).returncode == 3
    )
    port = free_port()
    fresh_mirror.run(MIRROR, "serve", "--background", "--port", str(port), cwd=fresh_mirror.home)
    kept = json.loads((fresh_mirror.home / "mirror" / "credentials.json").read_text())
    assert kept["url"] == f"http://127.0.0.1:{port}"
    assert _answers(f"{kept['url']}/+api")


def test_a_login_outlives_a_restart(fresh_mirror: Mirror) -> None:
    """A developer who logged in with the devpi client this morning stays logged in."""
    body = {"user": "company", "password": fresh_mirror.credentials["company"]}
    token = requests.post(f"{fresh_mirror.url}/+login", json=body, timeout=10).json()["result"]["password"]
    fresh_mirror.run(MIRROR, "stop")
    fresh_mirror.run(MIRROR, "serve", "--background", cwd=fresh_mirror.home)
    answer = requests.get(f"{fresh_mirror.url}/+api", auth=("company", token), timeout=10)
    assert answer.json()["result"]["authstatus"][:2] == ["ok", "company"]


def test_status_counts_what_is_cached(fresh_mirror: Mirror) -> None:
    """The disk fills up with these."""
    page = requests.get(
        f"{fresh_mirror.index_url('root/pypi')}iniconfig/",
        headers={"Accept": "application/vnd.pypi.simple.v1+json"},
        timeout=60,
    )
    wheel = next(file for file in page.json()["files"] if file["filename"].endswith(".whl"))
    content = requests.get(requests.compat.urljoin(page.url, wheel["url"]), timeout=60).content
    report = json.loads(fresh_mirror.run(MIRROR, "status", "--json").stdout)
    pypi = next(index for index in report["indexes"] if index["name"] == "root/pypi")
    assert (pypi["files"], pypi["bytes"]) == (1, len(content))
