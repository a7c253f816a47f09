"""The promises of release.host.commands.processes.scaling, with a supervisor that only notes its commands."""

from dataclasses import replace
from pathlib import Path

import pytest

from release.host.commands.processes import scaling
from release.host.disk import releases
from release.host.processes import circus_ini, health, sockets, watchers
from release.host.request import Scale
from tests.support.release_folders import (
    FakeSupervisor,
    a_layout,
    a_manifest,
    a_request,
    a_session,
    add_release,
)


@pytest.mark.parametrize(("port", "asked"), [(None, "web.a.sock"), (20_001, ("127.0.0.1", 20_001))])
def test_what_waits_is_taken_before_web_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int | None, asked: str | tuple[str, int]
) -> None:
    """Also of a release that an earlier Packhorse installed, with a port: elsewhere nobody answers."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.write_manifest(layout, replace(a_manifest(1), port=port), {})
    releases.switch(layout, 1)
    layout.circus_ini.write_text(circus_ini.circus_text(layout, None))
    circus = FakeSupervisor(layout)
    watchers.apply(layout, circus, watchers.of(layout, 1))
    probed: list[health.Address] = []
    monkeypatch.setattr(sockets, "drain_backlog", lambda _layout, _number, where: probed.append(where))
    scaling.run(layout, a_request(Scale, layout, counts={"web": 0}), circus, a_session())
    assert [where.name if isinstance(where, Path) else where for where in probed] == [asked]
    assert not circus.running()
