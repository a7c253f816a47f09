"""Settings of all tests; a test whose program is missing fails, or is left out where nobody is root."""

import os
import signal

import pytest

from tests.support import debian_packages

LEFT_OUT = pytest.StashKey[dict[str, int]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs(program, …): the test runs these programs (see tests/support/debian_packages.py)"
    )
    config.addinivalue_line(
        "markers", "needs_root: the test mounts a file system, or starts processes of other users"
    )
    config.stash[LEFT_OUT] = {}
    # Who starts the suite with `&` from a script makes it, and all that it starts, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _missing(item: pytest.Item) -> list[str]:
    wanted = {program for mark in item.iter_markers("needs") for program in mark.args}
    root = ["root"] if item.get_closest_marker("needs_root") and os.geteuid() != 0 else []
    return root + sorted(program for program in wanted if debian_packages.which(program) is None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # What takes minutes begins first: else one processor has nothing to do at the end.
    items.sort(key=_is_short)
    if os.geteuid() == 0:
        return
    for item in [item for item in items if _missing(item)]:
        items.remove(item)
        config.hook.pytest_deselected(items=[item])
        reason = ", ".join(_missing(item))
        config.stash[LEFT_OUT][reason] = config.stash[LEFT_OUT].get(reason, 0) + 1


def _is_short(item: pytest.Item) -> bool:
    marks = {program for mark in item.iter_markers("needs") for program in mark.args}
    return "systemd-nspawn" not in marks and item.path.name != "test_devpi_suite.py"


def pytest_runtest_setup(item: pytest.Item) -> None:
    missing = _missing(item)
    if missing:
        pytest.fail(
            f"no {', '.join(missing)} on this machine: run `python tests/support/debian_packages.py`",
            pytrace=False,
        )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for program, count in config.stash[LEFT_OUT].items():
        terminalreporter.write_line(f"left out: {count} tests need {program}, which is not on this machine")
