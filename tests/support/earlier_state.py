"""The folder of a mirror and of a deployed application as commit cf208a3 left them, to be taken over.

Made with the tests of that commit. From an upstream that is gone: `public` (a yanked wheel and an sdist),
`needed`, `oldhash` (md5 only) and `nohash`, all files but that of `needed` downloaded. Uploaded: `ours`, 1.0
yanked, 1.1 promoted to company/prod; `gone`, deleted since; `tiny` 0.1.0 to 0.3.0, deployed to `local` as
releases 1 (X=1), 3 (X=2) and 2 (failed). facts.json has pages and releases as that commit showed them.
"""

import json
import sys
import sysconfig
import tarfile
from pathlib import Path
from typing import Any

from tests.support.servers import BIN, free_port

ARCHIVE = Path(__file__).with_name("state_cf208a3.tar.xz")
# As they are in the archive. Files of SQLite and of Python keep their length: so must home and ports.
_HOME, _MIRROR_PORT, _APP_PORT = "/tmp/phcf208a3x", 23999, 23998  # a name to replace
_BIN = "/work/wt/old/.venv/bin"


def unpack(home: Path) -> dict[str, Any]:
    """Unpack the state into `home`, whose path has as many characters as a short_home; returns facts.json."""
    assert len(str(home)) == len(_HOME)
    with tarfile.open(ARCHIVE) as archive:
        # Debian 12 has Python 3.11.2, without the argument `filter` and without tar_filter (PEP 706).
        archive.extraction_filter = getattr(tarfile, "tar_filter", None)
        archive.extractall(home)  # noqa: S202 (our own)
    ports = {_MIRROR_PORT: free_port(), _APP_PORT: free_port()}
    words = {_HOME: str(home), **{f"{old}": f"{new}" for old, new in ports.items()}, _BIN: str(BIN)}
    for path in (path for path in home.rglob("*") if path.is_file() and not path.is_symlink()):
        content = changed = path.read_bytes()
        for old, new in words.items():
            changed = changed.replace(old.encode(), new.encode())
        if changed != content:
            path.write_bytes(changed)
    for venv in home.glob("apps/*/releases/*/venv"):
        _relink(venv)
    facts: dict[str, Any] = json.loads((home / "facts.json").read_text())
    return facts


def _relink(venv: Path) -> None:
    """Let the virtualenv be one of the Python that runs the tests."""
    python = Path(sys.base_prefix, "bin", f"python{sysconfig.get_python_version()}")
    (venv / "bin" / "python3.11").unlink()
    (venv / "bin" / python.name).symlink_to(python)
    for link in ("python", "python3"):
        (venv / "bin" / link).unlink()
        (venv / "bin" / link).symlink_to(python.name)
    (venv / "lib" / "python3.11").rename(venv / "lib" / python.name)
