"""A devpi-server that the plugin does not know: what the administrator sees."""

import shutil
import sysconfig
from importlib import metadata
from pathlib import Path

from tests.support.servers import BIN, Mirror, free_port

CHECKOUT = Path(__file__).parents[3]


def test_devpi_server_7_ends_with_two_lines(mirror_server: Mirror, tmp_path: Path) -> None:
    """What happened and what to install, instead of a traceback about a module."""
    venv = tmp_path / "venv"
    mirror_server.run(BIN / "uv", "venv", "--quiet", venv)
    index = ("--default-index", mirror_server.index_url("root/pypi"))
    install = ("pip", "install", "--quiet", "--prerelease", "allow", "--python", venv / "bin" / "python")
    mirror_server.run(BIN / "uv", *install, *index, "devpi-server==7.0.0b4", timeout=240)
    _install_ourselves(venv)
    folder = ("--serverdir", tmp_path / "server")
    mirror_server.run(venv / "bin" / "devpi-init", *folder)
    ended = mirror_server.run(
        venv / "bin" / "devpi-server", *folder, "--port", str(free_port()), timeout=60, status=1
    )
    happened, hint = ended.stderr.splitlines()[-2:]
    assert happened.startswith("fatal: devpi-server 7.0.0b4 is not one that the packhorse plugin knows: ")
    assert hint.startswith("Install one that it knows: pip install 'devpi-server")
    assert "Traceback" not in ended.stdout + ended.stderr


def _install_ourselves(venv: Path) -> None:
    """As an editable install does; pip would keep the old devpi-server out or ours."""
    (packages,) = venv.glob("lib/python3*/site-packages")
    (packages / "checkout.pth").write_text(f"{CHECKOUT}\n")
    about = Path(sysconfig.get_path("purelib"), f"packhorse-{metadata.version('packhorse')}.dist-info")
    shutil.copytree(about, packages / about.name)
