"""What packhorse-balancer thinks of hosts, and which of them it takes out."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).parents[3] / "ansible/roles/balancer/files/packhorse_balancer.py"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("packhorse_balancer", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("number", "failing", "held", "expected"),
    [
        (2, [], [], []),
        (2, [1], [], [1]),
        (2, [1, 2], [], []),  # a page of the application's own beats one of nginx
        (2, [], [1], [1]),
        (2, [], [1, 2], [1]),
        (2, [1], [2], [1]),
        (1, [], [1], []),
        (1, [1], [1], []),
        (3, [], [1, 2], [1]),  # one alone would have the work of three
        (4, [], [2, 3, 4], [2, 3]),
        (4, [1], [2, 3], [1, 2]),
        (4, [1, 2], [3], [1, 2]),
        (3, [1], [1], [1]),
    ],
)
def test_all_that_fail_are_out_and_of_those_held_as_many_as_can_be_spared(
    program: ModuleType, number: int, failing: list[int], held: list[int], expected: list[int]
) -> None:
    """The last host is never taken out."""
    hosts = list(range(1, number + 1))
    assert program.outside(hosts, failing, held) == set(expected)


def test_the_first_answer_counts_and_later_ones_when_they_come_twice(program: ModuleType) -> None:
    """One lost packet takes no host out."""
    host = program.Host("web1", "10.0.0.1")
    thoughts = []
    for answer in ("refused", "", "", "", "slow", "", "slow", "502", "slow", ""):
        host.after(answer)
        thoughts.append(host.failure)
    assert thoughts == ["refused", "refused", "", "", "", "", "", "502", "slow", "slow"]


@pytest.mark.parametrize("text", ["[]", "{}", '{"user": "shop", "hosts": [{"name": "web1"}], "health": {}}'])
def test_settings_that_are_none_are_an_error_that_the_program_survives(
    program: ModuleType, text: str
) -> None:
    """Others are balanced all the same."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        program.Application.of(text)
