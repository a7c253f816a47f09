"""Attacks by an application that was taken over: what its processes can reach on a server, and what not."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.support import hosts, ssh_target
from tests.support.servers import run_command, wait_until
from tests.support.ssh_target import LAYOUT, Servers
from tests.support.tiny_app import NAME, app_wheel

pytestmark = hosts.MARKS

RUNNER = ssh_target.run_user()
WEB = "web: python -m tiny\n"
WHO = "id -un; grep NoNewPrivs /proc/self/status; cat /proc/self/cgroup; pwd; ls -A; touch x 2>&1; ls -ld .."


@pytest.fixture(scope="module")
def web() -> Iterator[Servers]:
    """A host that runs 0.1.0."""
    with ssh_target.running("web1") as running:
        phase = f"{WEB}release: {{}}\n"
        running.served.add(
            NAME,
            app_wheel("0.3.0", procfile=phase.format(f"sh -c '{WHO}'")),
            app_wheel("0.4.0", "family"),
            app_wheel("0.5.0", procfile=phase.format("sh -c 'echo begun; sleep 1000'")),
        )
        running.deploy("0.1.0")
        yield running


def run(web: Servers, user: str, command: str, status: int | None = 0) -> str:
    """What a shell command of `user` prints."""
    done = web.hosts[0].ssh("runuser", "-u", user, "--", "sh", "-c", command, status=status)
    return f"{done.stdout}{done.stderr}"


def test_the_processes_write_to_data_logs_and_sockets_only(web: Servers) -> None:
    """Not to releases, cache, agent, keys: a line appended to release 1 ran in 2, 3 and the rollback."""
    found = run(web, RUNNER, "find /srv /etc /opt /run /usr /home /root -writable -not -type l 2>&1", None)
    own = [str(LAYOUT.data), str(LAYOUT.logs), f"/run/packhorse/{NAME}"]
    # A socket that anybody may write to is in a folder that nobody else may enter, or systemd's own.
    others = [
        path
        for path in found.splitlines()
        if not path.startswith(("find: ", *own, "/run/systemd/", "/run/dbus/"))
    ]
    assert [path for path in others if not path.startswith(("/run/lock", "/run/user"))] == []


def test_configuration_and_logs_are_for_nobody_else(web: Servers) -> None:
    """Other applications on the host run other people's code."""
    number = web.status()[0]["release"]
    secret, log = f"{LAYOUT.release(number)}/env.json", f"{LAYOUT.log(f'web.{number}')}"
    run(web, RUNNER, f"cat {secret} {log}")
    for path in (secret, log, str(LAYOUT.logs)):
        assert "Permission denied" in run(web, "nobody", f"ls {path}/ 2>&1; cat {path}", None)


def test_a_server_of_files_in_the_working_directory_has_nothing_to_show(web: Servers) -> None:
    """`wsgidav --root .` served env.json to the world."""
    number = web.status()[0]["release"]
    (pid,) = web.status()[0]["processes"][0]["pids"]
    web.hosts[0].ssh("sh", "-c", f"test /proc/{pid}/cwd -ef {LAYOUT.release(number)}/work")
    assert run(web, RUNNER, f"cd {LAYOUT.release(number)}/work; ls -A; touch x", 1).endswith(
        "Permission denied\n"
    )
    environment = json.loads(web.get(web.hosts[0], "/env"))
    assert (environment["HOME"], environment["PACKHORSE_DATA"]) == (str(LAYOUT.data), str(LAYOUT.data))
    assert environment["USER"] == RUNNER


def test_the_release_phase_is_confined_like_the_processes(web: Servers) -> None:
    """It is the same code: in the ssh session it had neither the unit's bounds nor its limits."""
    shown = web.deploy("0.3.0").stderr
    assert RUNNER in shown
    assert re.search(r"NoNewPrivs:\s+1", shown)
    assert f"packhorse@{NAME}.service" in shown
    assert "touch: cannot touch 'x'" in shown
    web.deploy("0.1.0")


def test_a_release_phase_ends_with_the_deploy_that_was_interrupted(web: Servers) -> None:
    """The agent may not signal it: it is another user's."""
    with web.deploying("0.5.0", until="begun") as process:
        process.kill()
    wait_until("its end", lambda: web.hosts[0].ssh("pgrep", "-f", "sleep 1000", status=None).returncode == 1)
    wait_until("the lock to be free", lambda: web.lock_is_free(web.hosts[0]))
    web.release("deploy", "production", f"{NAME}==0.2.0", "--retry-release")
    web.deploy("0.1.0")


def test_processes_that_hide_from_circus_end_with_their_release(web: Servers) -> None:
    """They belong to another user than the agent, in another session than their parent."""
    web.deploy("0.4.0")
    assert web.hosts[0].ssh("pgrep", "-c", "-f", "sleep 1003").stdout.strip() == "2"
    web.deploy("0.1.0")
    assert web.hosts[0].ssh("pgrep", "-c", "-f", "sleep 1003", status=1).stdout.strip() == "0"


def test_logs_that_lead_elsewhere_are_empty(web: Servers) -> None:
    """Who deploys may read more than the application; a pipe would hold every command that looks at logs."""
    number = web.status()[0]["release"]
    log, kept = LAYOUT.log(f"web.{number}"), f"{LAYOUT.data}/kept"
    web.hosts[0].ssh(
        "sh", "-c", f"echo secret > {LAYOUT.folder}/.secret; chown {NAME} {LAYOUT.folder}/.secret"
    )
    web.hosts[0].ssh("chmod", "600", f"{LAYOUT.folder}/.secret")
    for trap in (f"ln -s {LAYOUT.folder}/.secret {log}", f"mkfifo {log}"):
        run(web, RUNNER, f"mv {log} {kept}; {trap}")
        assert "secret" not in web.release("logs", "production").stdout
        run(web, RUNNER, f"rm {log}; mv {kept} {log}")
    assert "hello from" in web.release("logs", "production").stdout


def test_links_in_its_folders_give_it_nothing_at_the_next_start(web: Servers) -> None:
    """The program that prepares the folders runs as who deploys: it must not be led to that user's files."""
    secret = f"{LAYOUT.folder}/.secret"
    state = ("stat", "-c", "%U %G %a %n", secret, str(LAYOUT.journal), "/etc/shadow")
    web.hosts[0].ssh("install", "-m", "600", "-o", NAME, "-g", NAME, "/dev/null", secret)
    before = web.hosts[0].ssh(*state).stdout
    for folder in (LAYOUT.data, LAYOUT.logs):
        run(
            web,
            RUNNER,
            f"cd {folder}; ln -s {secret} a; ln -s {LAYOUT.journal} b; ln -s /etc b.d; ln -s /etc/shadow c",
        )
        web.hosts[0].ssh("ln", str(LAYOUT.journal), f"{folder}/hard")
        web.hosts[0].ssh("chgrp", "root", str(folder))  # as if one user had done all until now
    web.hosts[0].ssh("systemctl", "restart", f"packhorse@{NAME}")
    web.served_by_itself()
    assert web.hosts[0].ssh(*state).stdout == before
    web.hosts[0].ssh("sh", "-c", f"cd {LAYOUT.data}; rm a b b.d c hard; cd {LAYOUT.logs}; rm a b b.d c hard")


CHANGES = {
    "a changed line": ("sed -i '$a # evil' {site}/tiny/__init__.py", "tiny/__init__.py"),
    "a file that Python runs at every start": (
        "echo 'import os' > {site}/evil.pth",
        "site-packages/evil.pth",
    ),
    "a missing file": ("rm {site}/tiny/__init__.py", "tiny/__init__.py"),
    "a link": ("ln -sf /etc/passwd {site}/tiny/__init__.py", "tiny/__init__.py"),
    "our own program": ("sed -i '$a # evil' {release}/launch.py", "launch.py"),
}


@pytest.mark.parametrize(("change", "named"), CHANGES.values(), ids=CHANGES)
def test_a_changed_release_is_named_and_does_not_start(web: Servers, change: str, named: str) -> None:
    """By whoever deploys, or root, or a disk that rots."""
    host, number = web.hosts[0], web.status()[0]["release"]
    folder, kept = LAYOUT.release(number), f"{LAYOUT.folder}/.kept"
    site = host.ssh("sh", "-c", f"echo {folder}/venv/lib/python3*/site-packages").stdout.strip()
    assert "every file is as it was installed" in web.release("verify", "production").stdout
    host.ssh("cp", "-a", str(folder), kept)
    host.ssh("sh", "-c", change.format(site=site, release=folder))
    error, hint = web.release("verify", "production", status=1).stderr.strip().splitlines()[-2:]
    assert f"Error: web1: Release {number} is not as it was installed" in error
    assert named in error
    assert hint.startswith("Hint: ")
    web.release("stop", "production")
    assert named in web.release("start", "production", status=1).stderr
    host.ssh("sh", "-c", f"rm -r {folder}; mv {kept} {folder}")
    web.release("start", "production")


def test_a_file_that_was_changed_in_the_cache_is_not_installed(web: Servers) -> None:
    """The installer links it into the next release without a look."""
    file = f"find {LAYOUT.cache} -path '*tiny/__init__.py' -not -path '*/venv/*'"
    web.configure('env.X = "0"')
    web.deploy("0.1.0")
    web.configure('env.X = "1"')
    web.hosts[0].ssh("sh", "-c", f"for f in $({file}); do mv $f $f.kept; echo '# evil' > $f; done")
    refused = web.deploy("0.1.0", status=1).stderr
    web.hosts[0].ssh("sh", "-c", f"for f in $({file}); do mv $f.kept $f; done")
    web.configure()
    assert "is not as it was installed" in refused
    assert "tiny/__init__.py" in refused


def test_nobody_logs_in_as_the_user_that_runs_the_processes(web: Servers) -> None:
    """A key in its home would be a way around the bounds of the unit."""
    keys = f"{LAYOUT.data}/.ssh/authorized_keys"
    run(
        web,
        RUNNER,
        f"mkdir -m 700 {LAYOUT.data}/.ssh; echo '{web.net.public_key.strip()}' > {keys}; chmod 600 {keys}",
    )
    refused = web.hosts[0].ssh("-N", user=RUNNER, status=None)
    assert refused.returncode == 255
    run(web, RUNNER, f"rm -r {LAYOUT.data}/.ssh")


@pytest.mark.needs("systemd-analyze")
def test_the_unit_leaves_out_little(web: Servers) -> None:
    """2.0 of 10 is the bound; each thing that is left out has its reason in the unit."""
    unit = web.home / f"packhorse@{NAME}.service"
    unit.write_text(ssh_target.rendered("packhorse@.service.j2", NAME))
    command = ("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", str(unit))
    run_command(*command, env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"})
