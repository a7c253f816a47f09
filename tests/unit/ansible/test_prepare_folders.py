"""Preparing an application's folders for the user that runs it, on a host where one user did all."""

import grp
import os
import runpy
from pathlib import Path

PROGRAM = Path(__file__).parents[3] / "ansible/roles/app_host/files/prepare_folders.py"


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_releases_made_under_a_strict_umask_can_be_read_but_not_their_configuration(tmp_path: Path) -> None:
    """Their processes run as another user now."""
    folder, sockets, public = (tmp_path / name for name in ("app", "sockets", "public"))
    code = folder / "releases" / "1" / "venv" / "lib"
    code.mkdir(parents=True)
    (code / "web.py").touch(0o640)
    (code / "program").touch(0o750)
    (code / "link").symlink_to("/nowhere")
    for name in ("env.json", "hashes.json", ".config.json.1f3a"):  # the last one of a write that was killed
        (folder / "releases" / "1" / name).touch(0o600)
    (folder / "releases" / "1" / "READY").touch(0o644)
    for path in (code, *list(code.parents)[:3]):
        path.chmod(0o750)
    public.mkdir()
    runpy.run_path(str(PROGRAM))["main"](folder, grp.getgrgid(os.getgid()).gr_name, sockets, public)
    assert [_mode(path) for path in (code, code / "web.py", code / "program")] == [0o755, 0o644, 0o755]
    assert _mode(folder / "releases" / "1") == 0o755
    assert _mode(folder / "releases" / "1" / "env.json") == 0o640
    assert _mode(folder / "releases" / "1" / "READY") == 0o640
    assert _mode(folder / "releases" / "1" / "hashes.json") == 0o600
    assert _mode(folder / "releases" / "1" / ".config.json.1f3a") == 0o600
