"""`release deploy` to servers beside an Ansible playbook of the usual recipe, over the same ssh."""

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Iterator

from bench.tools import stage
from bench.tools.rows import Row
from release.agents import agent_archive, ssh
from release.host.disk.layout import SERVER_ROOT
from release.host.disk.manifest import Health
from release.host.processes import health
from tests.support import hosts, ssh_target
from tests.support.servers import BIN, Mirror, running_mirror

APP = "sample-app"
VERSIONS = ["0.1.1", "0.1.2", "0.1.3", "0.1.4"]
HOSTS = 10
QUESTION = Health("/version", "localhost", timeout=5, interval=0.05)

# What people write who have no tool, in its fast form: no facts gathered, no copies of modules (pipelining).
PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: virtualenv
      ansible.builtin.command: python3 -m venv {{ folder }}/releases/{{ version }}
    - name: packages
      ansible.builtin.command: >-
        {{ folder }}/releases/{{ version }}/bin/pip install --quiet --index-url {{ index }}
        --trusted-host {{ trusted }} sample-app=={{ version }}
    - name: migration
      ansible.builtin.command: "{{ folder }}/releases/{{ version }}/bin/flask --app sample_app deploy"
      environment: {ENVIRONMENT: development, DATA_DIR: "{{ folder }}/data"}
    - name: switch
      ansible.builtin.file:
        src: "{{ folder }}/releases/{{ version }}"
        dest: "{{ folder }}/current"
        state: link
    - name: restart
      ansible.builtin.command: >-
        /opt/packhorse/toolbox/bin/python -Im circus.circusctl
        --endpoint ipc://{{ folder }}/ctl.sock restart web
"""


def run() -> Iterator[Row]:
    """Deploy the same versions both ways in turn to one host, then to ten at once."""
    if os.geteuid() != 0:
        print("ssh: left out: test hosts need root", file=sys.stderr)
        return
    names = [f"web{number}" for number in range(1, HOSTS + 1)]
    with hosts.network() as net, running_mirror(host=net.address) as here:
        for version in VERSIONS:
            stage.publish(here, version)
        fleet = net.hosts(*names)
        for host in fleet:
            ssh_target.prepare(host, APP)
        yield from _rows(Bench(net, here), fleet[0])


def _rows(bench: "Bench", web1: hosts.Host) -> Iterator[Row]:
    first, *others = VERSIONS
    with bench.rival(web1, first):
        bench.ours("one", first)
        pairs = [(bench.ours("one", version), bench.theirs(version)) for version in others]
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(their / our for our, their in pairs)
    yield Row("ssh: redeploy to one host", "s", ours, theirs, ratio, ">= 8")
    bench.ours("ten", first)
    pairs = [(bench.ours("one", version), bench.ours("ten", version)) for version in others]
    one, ten = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(ten / one for one, ten in pairs)
    yield Row(f"ssh: {HOSTS} hosts beside one ({os.cpu_count()} cores)", "s", ten, one, ratio, "<= 3")
    changed = statistics.median(bench.ours("one", VERSIONS[-1], colour=str(n)) for n in range(3))
    yield Row("ssh: config-only release", "s", changed, None, changed, "<= 2")
    started = statistics.median(agent_start(web1) for _ in range(5))
    yield Row("ssh: agent start", "s", started, None, started, "<= 0.2")


class Bench:
    """One deployer with two ways to deploy."""

    def __init__(self, net: hosts.Network, here: Mirror) -> None:
        self.net = net
        self.here = here
        self.folder = f"/home/{APP}/usual"
        self.project = here.home / "src" / VERSIONS[0]
        # Ansible keeps its connections open for a minute; ours are where ~/.ssh/config shares them.
        config = here.home / "ssh_config"
        config.write_text(f"ControlPath {here.home}/%n.mux\n{net.ssh_config.read_text()}")
        more = {"ANSIBLE_PIPELINING": "true", "ANSIBLE_NOCOWS": "1", ssh.CONFIG: str(config)}
        self.environment = net.environment(here.home, **more)

    def ours(self, target: str, version: str, colour: str = "") -> float:
        """The seconds of `release deploy`; another `colour` is another configuration."""
        names = list(self.net.members)
        (self.project / "release.toml").write_text(
            f'index = "{self.here.url}/company/dev"\nallow_http = true\n'
            '[health]\npath = "/version"\n'  # asks no database: only the first host has one
            f"[targets.one]\nhosts = {names[:1]}\nenv.COLOUR = '{colour}'\nenv.ENVIRONMENT = 'development'\n"
            f"[targets.ten]\nhosts = {names}\nbatch = '100%'\nenv.ENVIRONMENT = 'development'\n"
        )
        command = [str(BIN / "release"), "deploy", target, f"{APP}=={version}"]
        return stage.timed(command, self.project, self.environment)

    def theirs(self, version: str) -> float:
        """The seconds of `ansible-playbook`, until the new version serves: circusctl does not wait for it."""
        (self.project / "usual.yml").write_text(PLAYBOOK)
        variables = {
            "version": version,
            "folder": self.folder,
            "index": self.here.index_url("company/dev"),
            "trusted": self.net.address,
        }
        words = [f"{key}={value}" for key, value in variables.items()]
        command = [
            str(BIN / "ansible-playbook"),
            "-i",
            "web1,",
            "-u",
            APP,
            "-e",
            " ".join(words),
            "usual.yml",
        ]
        seconds = stage.timed(command, self.project, self.environment)
        ended = time.monotonic()
        socket = self.net.members["web1"].files / self.folder[1:] / "web.sock"
        while version not in health.probe(socket, QUESTION).text:
            time.sleep(0.05)
        return seconds + time.monotonic() - ended

    @contextlib.contextmanager
    def rival(self, host: hosts.Host, first: str) -> Iterator[None]:
        """circusd of the usual recipe, running version `first`; pip's cache has what it needs."""
        host.ssh("mkdir", "-p", f"{self.folder}/releases", f"{self.folder}/data", user=APP)
        (host.files / f"{self.folder[1:]}/circus.ini").write_text(
            stage.circus(self.folder, f"unix:{self.folder}/web.sock")
        )
        with contextlib.suppress(RuntimeError):  # circusd does not run yet: the last task fails
            self.theirs(first)
        command = [ssh.PYTHON, "-Im", "circus.circusd", f"{self.folder}/circus.ini"]
        host.ssh("systemd-run", "--unit=usual", f"--uid={APP}", *command)
        time.sleep(3)
        try:
            yield
        finally:
            host.ssh("systemctl", "stop", "usual")


def agent_start(host: hosts.Host) -> float:
    """The seconds on the host until an agent waits for its request; it gets none, and ends."""
    command = agent_archive.command(ssh.PYTHON, str(SERVER_ROOT / APP / "agent"))
    script = (
        f"import subprocess, time; began = time.monotonic(); subprocess.run({command!r}, "
        "stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True); print(time.monotonic() - began)"
    )
    return float(host.ssh("python3", "-c", script, user=APP).stdout)
