"""Release folders on disk, and a fake supervisor, for unit tests of the agent."""

import re
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from release.host.control.session import Session
from release.host.disk import journal, releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import Content, Health, ReleaseManifest, ReleaseSpec
from release.host.processes import circus_ini
from release.host.request import Configure, Deploy, Request, Rollback

R = TypeVar("R", bound=Request)

NOBODY = 2**22 + 1  # above every process id
HEALTH = Health("/healthz", "localhost", 0.2, 0.01)


def a_layout(folder: Path) -> Layout:
    """An application without a release."""
    layout = Layout("shop", folder / "apps", folder / "run")
    releases.create_folders(layout)
    return layout


def a_manifest(number: int, processes: dict[str, str] | None = None) -> ReleaseManifest:
    """The manifest of release `number`."""
    return ReleaseManifest(
        release=number,
        project="shop",
        version=f"{number}.0",
        filename="shop.whl",
        sha256="0" * 64,
        lock_sha256="1" * 64,
        commit=None,
        processes=processes or {"web": "serve"},
        health=HEALTH,
        graceful_timeout=10.0,
        installer="uv",
        python="3.11.0",
        by="ann@example",
        at="2026-01-02T03:04:05+00:00",
        rules={},
        files={"0" * 64: "shop.whl"},
        origin=number,
    )


def add_release(layout: Layout, number: int, outcome: str | None = journal.GOOD, **env: str) -> None:
    """Release `number`, complete, with its `outcome` in the journal (None: not recorded)."""
    layout.release(number).mkdir()
    releases.write_manifest(layout, a_manifest(number), env)
    releases.mark_ready(layout, number)
    if outcome:
        manifest = a_manifest(number)
        journal.append(
            layout.journal, journal.Entry(number, outcome, manifest.version, manifest.by, manifest.at)
        )


OF_A_DEPLOY = {"content", "bind", "services"}
INDEX = "http://index.example.com/company/dev/+simple/"


def a_content(**env: str) -> Content:
    """Version 1.0, with configuration `env`."""
    return Content("shop", "1.0", [], "uv", HEALTH, graceful_timeout=10.0, rules={}, env=env)


def a_spec(number: int = 1) -> ReleaseSpec:
    """Release `number` of version 1.0."""
    return ReleaseSpec(number, a_content(), None, INDEX, "ann@example")


def a_deploy(layout: Layout, content: Content | None = None) -> Deploy:
    """A request to deploy version 1.0."""
    return Deploy(
        app=layout.app,
        root=str(layout.root),
        run=str(layout.run),
        supervised=False,
        by="ann@example",
        target_name="production",
        index_url=INDEX,
        keep=5,
        key="key",
        content=content or a_content(),
        bind=None,
    )


def a_rollback(layout: Layout, release: int | None) -> Rollback:
    """A request to go back to `release`."""
    fields = {key: value for key, value in vars(a_deploy(layout)).items() if key not in OF_A_DEPLOY}
    return Rollback(**fields, release=release)


def a_configure(layout: Layout, **fields: Any) -> Configure:  # noqa: ANN401  # those of Configure
    """A request to change the configuration."""
    common = {key: value for key, value in vars(a_deploy(layout)).items() if key not in OF_A_DEPLOY}
    return Configure(**common, **fields)


def a_request(kind: type[R], layout: Layout, **fields: Any) -> R:  # noqa: ANN401  # whatever the kind has
    """A request of `kind` for the application of `layout`."""
    common: dict[str, Any] = {"app": layout.app, "root": str(layout.root), "run": str(layout.run)}
    common |= {"supervised": False, "by": "ann@example", "target_name": "production"}
    return kind(**{**common, **fields})


class FakeSupervisor:
    """circus as far as files go: runs what lies in conf.d once it is told to look."""

    def __init__(self, layout: Layout, *, alive: bool = False) -> None:
        self.layout = layout
        self.alive = alive
        self.active: set[str] = set()
        self.stopping: set[str] = set()
        self.counts: dict[str, int] = {}
        self.calls: list[str] = []

    def running(self) -> bool:
        return self.alive

    def check(self, _bind: circus_ini.Bind) -> None:
        self.calls.append("check")

    def start(self) -> None:
        self.alive = True
        self._look("start")

    def watchers(self) -> dict[str, str]:
        return dict.fromkeys(self.active, "active") | dict.fromkeys(self.stopping, circus_ini.STOPPING)

    def pids(self, watcher: str) -> list[int]:
        return list(range(NOBODY, NOBODY + self.counts.get(watcher, 1))) if watcher in self.active else []

    def reload(self, leaving: Mapping[str, list[int]] | None = None) -> None:  # noqa: ARG002  # all end at once
        self._look("reload")

    def scale(self, watcher: str, count: int) -> list[int]:
        before = self.pids(watcher)
        if count != len(before):
            self.calls.append(f"scale {watcher}={count}")
        self.counts[watcher] = count
        return before[count:]

    def sweep(self, groups: Collection[int], keep: Collection[int]) -> None:
        """Nothing of it outlives its parent."""

    def run_once(self, name: str, command: Sequence[str], stopped: Callable[[], bool] | None = None) -> None:
        assert not (stopped and stopped())
        self.calls.append(f"run {name} {command[-1]}")

    def stop(self) -> None:
        self.alive = False
        self.calls.append("stop")
        self.active = set()

    def _look(self, call: str) -> None:
        self.calls.append(call)
        inis = {path.stem: path.read_text() for path in self.layout.watchers.glob("*.ini")}
        for started in inis.keys() - self.active:
            found = re.search("numprocesses = ([0-9]+)", inis[started])
            self.counts[started] = int(found[1]) if found else 1
        self.active = set(inis)


class FakeController:
    """Somebody who lets the work pass the gates in `allows`, and `stop`s it at any other."""

    def __init__(self, allows: Collection[str] = ()) -> None:
        self.stop = threading.Event()
        self.reason = "somebody said so"
        self.allows = allows
        self.receive: Callable[[Mapping[str, Any]], object] = lambda _: None

    def order(self, gate: str) -> dict[str, Any] | None:
        return {"go": gate} if gate in self.allows else None


def a_session(
    controller: FakeController | None = None,
    gates: Collection[str] = (),
    emit: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Session:
    """A command that nobody stops, unless `controller` does."""
    return Session(emit, controller or FakeController(), gates)
