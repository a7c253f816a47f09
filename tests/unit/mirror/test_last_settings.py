"""mirror.toml of another folder: found by accident, it must not count in the place of the one that holds."""

from pathlib import Path

import pytest

from mirror import config, last_settings
from mirror.state import Folder
from packhorse.errors import PackhorseError


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _require_same(folder: Folder, file: Path) -> None:
    last_settings.require_same(folder, file, config.load(file))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "home")
    made.root.mkdir(parents=True)
    return made


def test_a_file_that_nobody_named_has_to_say_what_holds(folder: Folder, tmp_path: Path) -> None:
    """`mirror serve` takes limits, webhooks and the audit log's size of it; a copy is as good as it."""
    own = _written(tmp_path / "a" / "mirror.toml", "max_upload = 5\n[audit]\nkeep = 3\n")
    other = _written(tmp_path / "b" / "mirror.toml", "max_upload = 500\n")
    copy = _written(tmp_path / "c" / "mirror.toml", own.read_text())
    for file in (own, other, copy):
        _require_same(folder, file)  # nothing is known yet, as after an upgrade
    last_settings.remember(folder, own, config.load(own))
    for file in (own, copy):
        _require_same(folder, file)
    with pytest.raises(PackhorseError) as caught:
        _require_same(folder, other)
    assert caught.value.message == (
        f"{other} differs from {own}, which `mirror init` has read: max_upload, audit."
    )
    assert "`mirror --config FILE …`" in caught.value.hint
    own.write_text("max_upload = 7\n")
    _require_same(folder, own)
    for damaged in ("damaged", '{"file": 5, "settings": {}}', '{"file": "x", "settings": 5}'):
        folder.last_settings.write_text(damaged)
        _require_same(folder, other)


def test_defaults_are_no_substitute_for_a_file_elsewhere(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mirror serve` in another folder started with them."""
    monkeypatch.chdir(tmp_path)
    own = _written(tmp_path / "a" / "mirror.toml", "offline = true\n")
    last_settings.remember(folder, own, config.load(own))
    with pytest.raises(PackhorseError) as caught:
        _require_same(folder, config.find(folder.home))
    places = f"{tmp_path}/mirror.toml or {folder.home}/mirror.toml"
    assert caught.value.message == (
        f"There is no {places}, and the defaults differ from {own}, which `mirror init` has read: offline."
    )


def test_no_secret_is_kept(folder: Folder, tmp_path: Path) -> None:
    """The address of a webhook may be one."""
    hook = '[[webhooks]]\nurl = "https://example.com/s3cret"\nsecret_variable = "S"\n'
    own = _written(tmp_path / "mirror.toml", hook)
    last_settings.remember(folder, own, config.load(own))
    assert "s3cret" not in folder.last_settings.read_text()
    assert folder.last_settings.stat().st_mode & 0o777 == 0o600
