"""The promises of release.host.formats.procfile."""

import pytest

from packhorse.errors import PackhorseError
from release.host.formats import procfile


def message(text: bytes) -> str:
    with pytest.raises(PackhorseError) as caught:
        procfile.parse(text, "Procfile")
    return caught.value.message


def test_every_line_is_a_process_type_and_its_command() -> None:
    """The whole format: comments and empty lines count for nothing, a command keeps its colons."""
    text = b"# who serves\n\nweb: gunicorn app:app --bind 'a b'\r\nrelease : python -m app migrate\n"
    assert procfile.parse(text, "Procfile") == {
        "web": "gunicorn app:app --bind 'a b'",
        "release": "python -m app migrate",
    }


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"gunicorn app", "expected a process type, a colon and a command"),
        (b"my worker: run", "expected a process type, a colon and a command"),
        (b"../web: run", "expected a process type, a colon and a command"),
        (b"worker:", "the process type worker has no command"),
        (b"web: other", "the process type web was already there"),
        (b"worker: run 'it", "no closing quotation in the command"),
        (b"worker: run \x1b[2J", "there is a control character in the command"),
        (b"worker: caf\xe9", "this is not UTF-8."),
    ],
)
def test_a_mistake_is_named_with_its_line(line: bytes, problem: str) -> None:
    """A host must never meet it: the build refuses, and says where to look."""
    assert message(b"web: run\n# a comment\n" + line + b"\n") == f"Procfile: line 3: {problem}"


def test_all_mistakes_are_named_at_once() -> None:
    """One run, one correction."""
    assert message(b"nonsense\nweb:\n").count("Procfile: line ") == 2


@pytest.mark.parametrize("text", [b"", b"# nothing\n", b"release: migrate\n"])
def test_a_procfile_without_a_process_that_goes_on_is_refused(text: bytes) -> None:
    """There would be nothing to run."""
    assert message(text) == "Procfile: there is no process type that goes on running, such as web or worker"


def test_an_application_may_have_workers_only() -> None:
    """It takes its work from a queue."""
    assert procfile.parse(b"worker: run\n", "Procfile") == {"worker": "run"}
