"""The promises of release.host.commands.inspect.doctor."""

import hashlib
from pathlib import Path

import pytest

from release.host.commands.deploy import preflight
from release.host.commands.inspect import doctor
from release.host.commands.inspect.doctor import FAILED, OK, WARNING
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.request import Doctor
from tests.support.release_folders import (
    FakeSupervisor,
    a_layout,
    a_manifest,
    a_request,
    a_session,
    add_release,
)


def examined(layout: Layout, circus: FakeSupervisor) -> dict[str, str]:
    """Check -> state."""
    request = a_request(Doctor, layout, index_url=None, key="k", toolbox_sha256="")
    result = doctor.run(layout, request, circus, a_session())
    checks = result["checks"]
    assert isinstance(checks, list)
    return {check["check"]: check["state"] for check in checks}


def test_an_application_that_was_never_deployed_is_no_failure(tmp_path: Path) -> None:
    """The host may be new."""
    layout = Layout("shop", tmp_path / "apps", tmp_path / "run")
    assert examined(layout, FakeSupervisor(layout)) == {"supervisor": OK, "application": WARNING, "disk": OK}
    assert not layout.folder.exists(), "nothing is changed"


def test_an_application_is_healthy_stopped_or_broken(tmp_path: Path) -> None:
    """As it is now."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.write_manifest(layout, a_manifest(1, {"worker": "work"}), {})
    releases.switch(layout, 1)
    circus = FakeSupervisor(layout, alive=True)
    assert examined(layout, circus)["application"] == FAILED
    circus.active = {"worker.1"}
    assert examined(layout, circus)["application"] == OK
    layout.stopped.touch()
    assert examined(layout, circus)["application"] == WARNING


@pytest.mark.parametrize(("size", "state"), [(1, OK), (2**60, FAILED)])
def test_the_disk_has_to_hold_another_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, state: str
) -> None:
    """Downloaded and unpacked."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.switch(layout, 1)
    monkeypatch.setattr(preflight, "size", lambda _folder: (size, 1))
    assert examined(layout, FakeSupervisor(layout))["disk"] == state


def test_earlier_toolboxes_but_one_are_left_over(tmp_path: Path) -> None:
    """Provisioning keeps one; without a word they would fill the disk."""
    for name in ("a", "b", "c"):
        (tmp_path / f"toolbox-{name}").mkdir()
    (tmp_path / "toolbox").symlink_to("toolbox-c")
    (tmp_path / "toolbox-c/toolbox.txt").write_text("circus==1")
    right = hashlib.sha256(b"circus==1").hexdigest()
    present, old = doctor.toolbox(tmp_path / "toolbox", right)
    assert (present.state, old.state) == (OK, WARNING)
    assert "toolbox-a, toolbox-b" in old.text
    (tmp_path / "toolbox-a").rmdir()
    (present,) = doctor.toolbox(tmp_path / "toolbox", "of another version")
    assert present.state == WARNING
