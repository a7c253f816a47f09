"""What the doctor says of a project."""

from pathlib import Path

from release.doctor import project
from release.doctor.report import attempt
from release.host.commands.inspect.doctor import OK


def test_a_project_without_a_procfile_is_a_library(tmp_path: Path) -> None:
    """It is built and uploaded like any other: nothing is wrong with it."""
    check = attempt("Procfile", lambda: project._procfile(tmp_path))
    assert (check.state, check.text.partition(",")[0]) == (OK, "there is none: a library")
