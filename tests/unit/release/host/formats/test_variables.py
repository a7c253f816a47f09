"""The promises of release.host.formats.variables: what is set can be given to a process."""

import os
import subprocess

import pytest

from packhorse.errors import PackhorseError
from release.host.formats import variables

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    "name", ["DATABASE_URL", "_x", "a1", "ENV", "PYTHONWARNINGS", "GUNICORN_CMD_ARGS", "PORTAL"]
)
def test_names_of_applications_are_taken(name: str) -> None:
    """A refusal without need is a hindrance."""
    variables.check({name: SECRET})


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "É", "A\n", "A=B", "export A", "A\0"])
def test_what_no_shell_takes_for_a_name_is_refused(name: str) -> None:
    """Programs would misread the rest of the environment, too."""
    with pytest.raises(PackhorseError, match="is no name of a variable"):
        variables.check({name: SECRET})


@pytest.mark.parametrize(
    "name",
    ["PORT", "PATH", "HOME", "DATA_DIR", "PACKHORSE_DATA", "PACKHORSE_", "LISTEN_FDS", "LD_PRELOAD",
     "LD_LIBRARY_PATH", "LD_AUDIT", "GLIBC_TUNABLES", "PYTHONPATH", "PYTHONHOME", "BASH_ENV", "VIRTUAL_ENV"],
)  # fmt: skip
def test_names_that_decide_what_runs_and_where_are_refused_with_a_reason(name: str) -> None:
    """Packhorse would overwrite them, or other code than the release's would run."""
    with pytest.raises(PackhorseError, match=f"{name} cannot be set: ") as refused:
        variables.check({name: SECRET})
    assert SECRET not in f"{refused.value.message}{refused.value.hint}"


@pytest.mark.parametrize("value", ["", "a" * 100, "'\"$`\\ \n\r\t", "é\udcff", "\x01\x7f"])
def test_every_byte_but_nul_is_taken(value: str) -> None:
    """execve(2) knows no other limit."""
    variables.check({"A": value})


@pytest.mark.parametrize("value", [f"{SECRET}\0", f"{SECRET}\ud800"])
def test_what_no_environment_can_hold_is_refused_without_showing_it(value: str) -> None:
    """Half of a pair comes from JSON only."""
    with pytest.raises(PackhorseError, match="The value of A ") as refused:
        variables.check({"A": value})
    assert SECRET not in f"{refused.value.message}{refused.value.hint}"


def test_the_limit_for_one_value_is_the_kernels() -> None:
    """One byte more, and no process would start: after the switch is too late to learn that."""
    longest = "x" * (variables.LONGEST - len("A="))
    variables.check({"A": longest})
    subprocess.run(["/bin/true"], env={"A": longest}, check=True)
    with pytest.raises(PackhorseError, match="Linux starts no process with it"):
        variables.check({"A": f"{longest}x"})
    with pytest.raises(OSError, match=os.strerror(7)):
        subprocess.run(["/bin/true"], env={"A": f"{longest}x"}, check=True)


def test_the_limit_for_all_values_together_is_below_the_kernels() -> None:
    """Arguments and the variables of a deploy need some of it, too."""
    values = {f"A{number}": "x" * 120_000 for number in range(8)}
    variables.check(values)
    with pytest.raises(PackhorseError, match="The configuration has"):
        variables.check({**values, "B": "x" * 120_000})
