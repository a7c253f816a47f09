"""The promises of release.local.formation."""

from dataclasses import replace
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.local import formation

COMMANDS = {"worker": "python -m w", "release": "migrate", "web": "gunicorn app:app", "clock": "c"}


def _names(*wanted: str) -> list[str]:
    return [process.name for process in formation.choose(COMMANDS, wanted)]


def test_all_but_the_release_phase_start_web_first() -> None:
    """Web gets port 5000 wherever its line stands; a migration is run when somebody asks for it."""
    assert _names() == ["web", "worker", "clock"]


def test_a_number_changes_one_type_and_a_name_alone_leaves_out_the_others() -> None:
    """As `release scale` counts, and as `heroku local web` chooses."""
    assert _names("web=2", "clock=0") == ["web.1", "web.2", "worker"]
    assert _names("web") == ["web"]
    assert _names("clock", "worker=2") == ["worker.1", "worker.2", "clock"]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (["wep"], 'did you mean "web"'),
        (["production"], "release deploy TARGET"),
        (["web=x"], "is not web=N"),
        (["web=-1"], "is not web=N"),
        (["web=1000"], "is not web=N"),
        (["web=1", "web"], "twice"),
        (["web=0", "worker=0", "clock=0"], "starts 0"),
        (["web=90", "worker=90"], "starts 181"),
        (["release=1"], "--release-phase"),
        (["ron", "flask"], 'did you mean "run"'),
    ],
)
def test_what_cannot_start_is_refused(wanted: list[str], words: str) -> None:
    """A typing error starts nothing at all, and says what there is."""
    with pytest.raises(PackhorseError) as refused:
        formation.choose(COMMANDS, wanted)
    assert words in f"{refused.value.message} {refused.value.hint}"


def test_web_takes_the_open_socket_unless_its_line_has_the_port() -> None:
    """The same Procfile as on servers: `gunicorn app:app` and `flask run --port $PORT` both work."""
    web = formation.choose(COMMANDS, ["web"])[0]
    assert web.takes_listener
    assert not replace(web, line="flask run --port $PORT").takes_listener
    assert not formation.choose(COMMANDS, ["worker"])[0].takes_listener


def test_every_process_knows_its_own_port() -> None:
    """Two processes that both serve something do not collide; the release phase has none."""
    process = formation.LocalProcess("web.2", "web", "w", 5001)
    assert formation.environment(process, {"A": "1"}) == {"A": "1", "PORT": "5001"}
    assert formation.environment(formation.release_phase(COMMANDS), {"A": "1"}) == {"A": "1"}


def test_a_changed_procfile_changes_lines_but_not_the_kind_of_port() -> None:
    """An open socket that nobody takes would swallow connections."""
    web, worker, _ = formation.choose(COMMANDS, ())
    changed = formation.again([worker], {"worker": "python -m other"})
    assert changed == [replace(worker, line="python -m other")]
    for process, commands in ((worker, {"web": "w"}), (web, COMMANDS)):
        with pytest.raises(PackhorseError):
            formation.again([process], commands)


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The lock of a port lies there."""
    (tmp_path / "file").touch()
    with (
        pytest.raises(PackhorseError, match="cannot be written"),
        formation.with_ports(formation.choose(COMMANDS, ()), 5000, tmp_path / "file"),
    ):
        raise AssertionError


def test_a_folder_without_a_procfile_is_answered_with_release_new(tmp_path: Path) -> None:
    """A newcomer's first command may be this one."""
    with pytest.raises(PackhorseError) as refused:
        formation.read(tmp_path)
    assert "release new" in refused.value.hint
