"""What a release's virtualenv says it has installed."""

import os
from pathlib import Path

import pytest

from release.host.disk.layout import Layout
from release.host.install import distributions
from tests.support.release_folders import a_layout, add_release


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = a_layout(tmp_path)
    add_release(made, 1)
    return made


def install(layout: Layout, folder: str, head: str) -> Path:
    path = layout.release(1) / "venv/lib/python3.11/site-packages" / f"{folder}.dist-info" / "METADATA"
    path.parent.mkdir(parents=True)
    path.write_text(head)
    return path


def test_names_versions_and_links_come_from_the_metadata(layout: Layout) -> None:
    """As PyPI's own projects write them, old and new."""
    install(
        layout,
        "Flask-3.0",
        "Metadata-Version: 2.1\nName: Flask\nVersion: 3.0\n"
        "Project-URL: Changes, https://example.com/changes\n\nName: not me\n",
    )
    install(layout, "ruamel.yaml-1", "Name: ruamel.yaml\nVersion: 1\nHome-page: https://example.com/\n")
    install(layout, "bad-1", "Name: bad\nVersion: 1\nHome-page: javascript:alert(1)\n")
    assert distributions.installed(layout, 1) == [
        {"name": "bad", "version": "1", "url": None},
        {"name": "flask", "version": "3.0", "url": "https://example.com/changes"},
        {"name": "ruamel-yaml", "version": "1", "url": "https://example.com/"},
    ]


def test_what_is_no_metadata_is_left_out(layout: Layout) -> None:
    """A pipe would be waited for, a link could lead to secrets; 10 GB are not read."""
    install(layout, "empty-1", "")
    pipe = install(layout, "pipe-1", "")
    pipe.unlink()
    os.mkfifo(pipe)
    secret = layout.folder / "secret"
    secret.write_text("Name: secret\nVersion: 1\n")
    link = install(layout, "link-1", "")
    link.unlink()
    link.symlink_to(secret)
    large = install(layout, "large-1", "Name: large\nVersion: 1\n\n")
    with large.open("r+b") as file:
        file.truncate(10 * 2**30)
    assert [each["name"] for each in distributions.installed(layout, 1)] == ["large"]
