"""The promises of release.variables.editing: only what the user changes is changed, and no file is left."""

import signal
import sys
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.variables import editing

VALUES = {"A": "it's $HOME\nand more", "B": "1", "KEY": "\udcff\x01", "LINES": "a\r\nb"}


def test_what_is_not_touched_stays() -> None:
    """What no editor can show is not in its text, and stays, too."""
    text = editing.text(VALUES, "production")
    assert editing.changes(VALUES, text) == editing.Edited({}, [])
    assert b"# KEY: 2 bytes that are no text" in text
    assert b"\xff" not in text
    assert b"\r" not in text


def test_changed_lines_are_set_and_removed_ones_unset() -> None:
    """Also a key that becomes text."""
    text = editing.text(VALUES, "production").replace(b"B=1\n", b"C='x y'\nKEY=text\n")
    assert editing.changes(VALUES, text) == editing.Edited({"C": "x y", "KEY": "text"}, ["B"])
    assert "x y" not in repr(editing.changes(VALUES, text))
    assert editing.changes(VALUES, b"") == editing.Edited({}, ["A", "B"])


@pytest.mark.parametrize(
    ("line", "message"), [(b"hunter2\n", "line 6 is not"), (b"PATH=hunter2\n", "PATH cannot")]
)
def test_lines_that_are_wrong_are_refused_without_what_is_in_them(line: bytes, message: str) -> None:
    """The editor opens again."""
    text = editing.text({"B": "1"}, "production") + line + b"C=2\n"
    with pytest.raises(PackhorseError, match=message) as refused:
        editing.changes({"B": "1"}, text.replace(b"B=1\n", b"\n\n"))
    assert "hunter2" not in refused.value.message


def an_editor(folder: Path, code: str) -> str:
    """The setting of an editor that runs `code` with `path`, and writes down the file that it got."""
    script = folder / "my editor.py"
    script.write_text(
        "import os, pathlib, sys\npath = pathlib.Path(sys.argv[1])\n"
        f"pathlib.Path({str(folder / 'seen')!r}).write_text(str(path))\n{code}\n"
    )
    return f'{sys.executable} "{script}"'


def test_the_file_is_for_the_user_alone_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds all secrets at once."""
    code = (
        "assert os.stat(path).st_mode & 0o777 == 0o600\n"
        "assert os.stat(path.parent).st_mode & 0o777 == 0o700\npath.write_text('A=2')"
    )
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("VISUAL", an_editor(tmp_path, code))
    assert editing.edit({"A": "1"}, "production", lambda _: False).values == {"A": "2"}
    seen = Path((tmp_path / "seen").read_text())
    assert seen.parent.parent == tmp_path
    assert not seen.parent.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_the_file_goes_when_the_terminal_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """And the editor with it."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv(
        "EDITOR", an_editor(tmp_path, f"os.kill(os.getppid(), {int(number)})\nimport time; time.sleep(60)")
    )
    monkeypatch.delenv("VISUAL", raising=False)
    with pytest.raises(KeyboardInterrupt):
        editing.edit({"A": "hunter2"}, "production", lambda _: False)
    assert not Path((tmp_path / "seen").read_text()).parent.exists()


def test_an_editor_that_fails_or_is_missing_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`:cq` in vim is how to give up."""
    monkeypatch.setenv("VISUAL", an_editor(tmp_path, "path.write_text('A=2'); sys.exit(1)"))
    with pytest.raises(PackhorseError, match="ended with status 1: nothing was changed"):
        editing.edit({"A": "1"}, "production", lambda _: False)
    monkeypatch.setenv("VISUAL", "no-such-editor --wait")
    with pytest.raises(PackhorseError, match="There is no editor no-such-editor"):
        editing.edit({"A": "1"}, "production", lambda _: False)


def test_wrong_lines_may_be_corrected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was typed is not lost."""
    code = "path.write_text('A=2\\n' if path.read_text() == 'wrong' else 'wrong')"
    monkeypatch.setenv("VISUAL", an_editor(tmp_path, code))
    asked: list[str] = []

    def again(error: PackhorseError) -> bool:
        asked.append(error.message)
        return True

    edited = editing.edit({"A": "1"}, "production", again)
    assert edited.values == {"A": "2"}
    assert asked == ["The edited text: line 1 is not NAME=VALUE, or a quote does not end."]
    with pytest.raises(PackhorseError, match="line 1"):
        editing.edit({"A": "1"}, "production", lambda _: False)
