"""The promises of packhorse_service.state."""

import json
from pathlib import Path

import pytest
from packhorse_service import state
from packhorse_service.errors import ServiceError

DATABASE = state.Database(
    "shop_production_db", "postgresql", clients=("10.0.0.5",), passwords={"a": "s3cret"}, port=5432
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "FOLDER", tmp_path / "services")


def test_what_was_saved_is_found() -> None:
    """With passwords, so that it is the owner's alone."""
    assert state.find(DATABASE.name) is None
    state.save(DATABASE)
    assert state.load(DATABASE.name) == DATABASE
    assert state.names() == [DATABASE.name]
    assert state.every("postgresql") == [DATABASE]
    assert state.every("redis") == []
    file = state.folder(DATABASE.name) / "state.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_state_of_a_later_version_is_read() -> None:
    """Another project on the host may have a newer Packhorse."""
    state.save(DATABASE)
    file = state.folder(DATABASE.name) / "state.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "replicas": []}))
    assert state.load(DATABASE.name) == DATABASE


def test_a_link_or_a_file_that_others_read_is_refused(tmp_path: Path) -> None:
    """Nobody but root should have been able to put it there."""
    state.save(DATABASE)
    file = state.folder(DATABASE.name) / "state.json"
    file.chmod(0o640)
    with pytest.raises(ServiceError, match="not root's alone"):
        state.load(DATABASE.name)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ServiceError, match="cannot be read"):
        state.load(DATABASE.name)
    state.save(DATABASE)
    assert not file.is_symlink()
    assert not list(file.parent.glob(".*"))


@pytest.mark.parametrize(
    "name",
    [
        "shop",
        "../../etc_a_b",
        "a_b_c_d",
        'a_b_"; DROP',
        "a_b_c\n",
        "a__b",
        "A_b_c",
        "a_b_" + "c" * 60,
        None,
        5,
    ],
)
def test_a_name_that_is_none_is_refused(name: object) -> None:
    """It becomes part of paths and of SQL."""
    with pytest.raises(ServiceError, match="is no APP_TARGET_SERVICE"):
        state.load(name)


def test_addresses_have_one_form_and_order() -> None:
    """What comes in another order is no change."""
    assert state.addresses(["fd00:0::1", "10.0.0.10", "10.0.0.9", "10.0.0.9"]) == (
        "10.0.0.9",
        "10.0.0.10",
        "fd00::1",
    )
    for wrong in ("10.0.0.1", ["10.0.0.1/8"], ["fe80::1%eth0"], ["all"], [None]):
        with pytest.raises(ServiceError):
            state.addresses(wrong)


def test_a_command_waits_for_another_one_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two deployers provision at once."""
    monkeypatch.setattr(state, "LOCK_TIMEOUT", 0.0)
    with state.lock(), pytest.raises(ServiceError, match="Another command"), state.lock():
        pass
    with state.lock():
        pass
