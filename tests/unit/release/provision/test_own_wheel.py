"""The promises of release.provision.own_wheel."""

import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.provision import own_wheel

FILES = {
    "packhorse/__init__.py": "VERSION = 1\n",
    "release/ansible/inventory.sh": "#!/bin/sh\n",
    "packhorse-1.0.dist-info/METADATA": "Name: packhorse\nVersion: 1.0\n",
    "packhorse-1.0.dist-info/WHEEL": "Tag: py3-none-any\n",
}
NOT_PACKED = {
    "packhorse/__pycache__/__init__.cpython-311.pyc": "",
    "packhorse-1.0.dist-info/INSTALLER": "pip\n",
    "packhorse-1.0.dist-info/direct_url.json": "{}",
}


@pytest.fixture
def installed(tmp_path: Path) -> Distribution:
    """Packhorse as pip would have installed it."""
    folder = tmp_path / "site-packages"
    lines = ["../bin/mirror,sha256=x,1", "packhorse-1.0.dist-info/RECORD,,"]
    for name, text in {**FILES, **NOT_PACKED}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        lines.append(f"{name},sha256={own_wheel._digest(text.encode())},{len(text)}")
    (folder / "packhorse-1.0.dist-info" / "RECORD").write_text("\n".join(lines))
    (found,) = Distribution.discover(path=[str(folder)])
    return found


def test_the_wheel_is_what_was_installed_and_always_the_same(installed: Distribution, tmp_path: Path) -> None:
    """Its hash names the virtualenv on the hosts: a second run must change nothing there."""
    first, second = tmp_path / "1", tmp_path / "2"
    for folder in (first, second):
        folder.mkdir()
    made = own_wheel.pack(installed, first)
    assert made.name == "packhorse-1.0-py3-none-any.whl"
    assert made.read_bytes() == own_wheel.pack(installed, second).read_bytes()
    with zipfile.ZipFile(made) as archive:
        assert set(archive.namelist()) == {*FILES, "packhorse-1.0.dist-info/RECORD"}
        assert archive.read("packhorse/__init__.py").decode() == FILES["packhorse/__init__.py"]
        script = archive.getinfo("release/ansible/inventory.sh")
        assert script.external_attr >> 16 == 0o755


def test_a_file_that_was_changed_after_its_installation_does_not_travel(
    installed: Distribution, tmp_path: Path
) -> None:
    """Whatever did it, root on every host would run it."""
    (tmp_path / "site-packages" / "packhorse" / "__init__.py").write_text("import os\n")
    with pytest.raises(PackhorseError, match="is not as it was installed"):
        own_wheel.pack(installed, tmp_path)


def test_a_file_that_was_added_does_not_travel(installed: Distribution, tmp_path: Path) -> None:
    """The wheel is what RECORD names, not what lies in the folder."""
    (tmp_path / "site-packages" / "packhorse" / "added.py").write_text("")
    with zipfile.ZipFile(own_wheel.pack(installed, tmp_path)) as archive:
        assert "packhorse/added.py" not in archive.namelist()
