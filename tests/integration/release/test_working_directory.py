"""Processes start among the files that release.toml lists, and write nothing there that a deploy loses."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from release.host.disk import releases
from tests.support.local_target import Host, running_host
from tests.support.release_folders import a_layout
from tests.support.tiny_app import NAME, app_wheel

MANAGE = """
import os, sys
from pathlib import Path
Path(os.environ["DATA_DIR"], "log").open("a").write(f"{sys.argv[1]} {Path('conf/ü 1.ini').read_text()}\\n")
"""
PROCFILE = "web: python serve.py\nrelease: python manage.py migrate\n"
SERVE = b"from tiny.__main__ import main\nmain()\n"


def files(text: str) -> dict[str, bytes]:
    return {"manage.py": MANAGE.encode(), "serve.py": SERVE, "conf/ü 1.ini": text.encode()}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running_host(tmp_path_factory.mktemp("host")) as made:
        yield made


def test_listed_files_lie_in_the_working_directory_of_each_release(host: Host) -> None:
    """`python manage.py migrate` works as people write it; going back needs no index."""
    for version in ("1.0", "2.0"):
        host.served.add(NAME, app_wheel(version, procfile=PROCFILE, beside=files(f"of {version}")))
    for version in ("1.0", "2.0"):
        host.deploy(version)
    with host.served.refusing():
        host.release("rollback", "local")
    assert (host.layout.data / "log").read_text() == "migrate of 1.0\nmigrate of 2.0\nmigrate of 1.0\n"
    work = host.layout.release(3) / "work"
    assert sorted(path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file()) == [
        *("conf/ü 1.ini", "manage.py", "serve.py")
    ]
    writable = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    assert not [path for path in [work, *work.rglob("*")] if path.stat().st_mode & writable]
    host.release("verify", "local")
    (work / "manage.py").unlink()
    (work / "manage.py").write_text("evil")
    assert "work/manage.py" in host.release("verify", "local", status=1).stderr


def test_folders_of_a_release_on_local_are_not_to_be_written(host: Host) -> None:
    """The user who deploys runs the processes: what they write beside the code would go with the release."""
    host.deploy("0.1.0")
    number = releases.require_current(host.layout)
    folders = [Path(folder) for folder, _, _ in os.walk(host.layout.release(number))]
    assert len(folders) > 5
    assert not [folder for folder in folders if folder.stat().st_mode & stat.S_IWUSR]


def test_what_an_application_wrote_into_its_release_is_named_at_the_next_deploy(host: Host) -> None:
    """root writes anywhere: at least nothing is lost without a word."""
    host.deploy("0.2.0")
    work = host.layout.release(releases.require_current(host.layout)) / "work"
    work.chmod(0o755)
    (work / "notes.db").touch()
    warning = host.deploy("0.1.0").stderr
    assert f"{work}/notes.db. Move them to $DATA_DIR ({host.layout.data})" in warning


def test_a_release_that_is_not_to_be_written_is_removed_all_the_same() -> None:
    """By its owner, who need not be root."""
    program = (
        "import os, sys; from pathlib import Path; from release.host.disk import releases\n"
        "from release.host.disk.layout import Layout\n"
        "if not os.geteuid(): os.setuid(65534)\n"
        "layout = Layout('shop', Path(sys.argv[1], 'apps'), Path(sys.argv[1], 'run'))\n"
        "(layout.release(1) / 'venv' / 'lib').mkdir(parents=True)\n"
        "(layout.release(1) / 'venv' / 'lib' / 'x.py').touch()\n"
        "releases.protect(layout, 1)\n"
        "try: (layout.release(1) / 'venv' / 'lib' / 'instance').mkdir()\n"
        "except PermissionError: releases.remove(layout, 1)\n"
        "sys.exit(layout.release(1).exists())\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        a_layout(Path(folder))
        for path in [Path(folder), *Path(folder).rglob("*")]:
            path.chmod(0o777)
        subprocess.run([sys.executable, "-c", program, folder], check=True)
