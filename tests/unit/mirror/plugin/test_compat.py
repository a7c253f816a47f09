"""The check that devpi-server is one that the plugin knows."""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from devpi_server.main import Fatal

from mirror.plugin import compat

PLUGIN = Path(compat.__file__).parent
SOURCES = {path: path.read_text() for path in PLUGIN.rglob("*.py") if path.name != "compat.py"}


def test_the_installed_devpi_server_has_everything_that_the_plugin_touches() -> None:
    """The lock and the table agree; the day devpi changes, this names what to look at."""
    assert list(compat.changed(compat.INTERNALS)) == []


@pytest.mark.parametrize("name", compat.INTERNALS)
def test_a_row_that_devpi_lost_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Removed from devpi itself, wherever it is defined, declared or set."""
    _remove(name, monkeypatch)
    with pytest.raises(Fatal, match=f"{re.escape(name)} is missing"):
        compat.check({name: compat.INTERNALS[name]})


def _remove(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, _, last = name.rpartition(".")
    holder: Any = compat.find(owner)
    for each in inspect.getmro(holder) if inspect.isclass(holder) else (holder,):
        if last in vars(each):
            monkeypatch.delattr(each, last)
        if last in inspect.get_annotations(each):
            monkeypatch.delitem(each.__annotations__, last)
        constructor = getattr(vars(each).get("__init__"), "__code__", None)
        if constructor and last in constructor.co_names:
            monkeypatch.setattr(each, "__init__", lambda *_: None)


@pytest.mark.parametrize("name", [name for name, row in compat.INTERNALS.items() if row])
def test_a_row_with_other_parameters_is_named(name: str) -> None:
    """An override with the old signature would fail at the first request."""
    row = (*(compat.INTERNALS[name] or ()), "forgotten")
    assert list(compat.changed({name: row})) == [f"{name} has other parameters"]


def test_a_constant_in_place_of_a_function_is_named() -> None:
    """devpi-server 7 made properties of methods: asking for their parameters is no error of the check."""
    assert list(compat.changed({"devpi_server.main.XOM.keyfs": ("self",)})) == [
        "devpi_server.main.XOM.keyfs has other parameters"
    ]


def test_the_message_is_two_lines_however_much_is_missing() -> None:
    """What happened and what to install; sixty names would hide it."""
    lost = {f"devpi_server.model.Lost{number}": None for number in range(60)}
    with pytest.raises(Fatal) as raised:
        compat.check(lost, version="7.0")
    happened, hint = str(raised.value).split("\n")
    assert happened.startswith("devpi-server 7.0 is not one that the packhorse plugin knows: ")
    assert happened.endswith("devpi_server.model.Lost2 is missing and 57 more.")
    assert re.fullmatch(r"Install one that it knows: pip install 'devpi-server[<>=.,\d]+'", hint)


def test_a_module_that_is_no_more_is_missing() -> None:
    """7.0 has no devpi_server.mirror: importing it is no error of the check."""
    row = {"devpi_server.remotes.RemoteStage.refresh": None}
    assert list(compat.changed(row)) == ["devpi_server.remotes.RemoteStage.refresh is missing"]


def test_the_check_can_be_made_twice_in_a_process() -> None:
    """The second application finds devpi's classes replaced by ours, which are derived from them."""
    row = {"mirror.plugin.patches.database.page_invalidation.Transaction.dirty": None}
    assert list(compat.changed(row)) == []


APPLY = """
from pathlib import Path
from types import SimpleNamespace as Fake
from mirror.plugin import compat
from mirror.plugin.patches import garbage_collection
from mirror.plugin.patches.database import export, fsync, page_invalidation, sqlite
from mirror.plugin.patches.views import file_views, project_list, redaction, upload_view
from mirror.plugin.patches.indexes import has_project, stages
from mirror.plugin.patches.logins import own_tokens, password_cache, token_limit

class Xom:
    config = Fake(args=Fake())
    def set_singleton(self, *_): pass

for _ in range(2):
    for patch in (fsync, garbage_collection, has_project, own_tokens, password_cache, project_list):
        patch.apply()
    for patch in (redaction, token_limit, upload_view):
        patch.apply()
    export.apply("+upstream", "+first-seen")
    sqlite.apply(Path("/nowhere"))
    file_views.apply(Xom(), None)
    stages.apply(Xom(), None)
    page_invalidation.apply(type("KeyFS", (), {})(), None)
    compat.check()
"""


def test_devpi_is_still_known_after_all_patches_were_applied_twice() -> None:
    """Each of devpi's commands makes the check several times, and a process may hold several servers."""
    ended = subprocess.run([sys.executable, "-c", APPLY], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("name", compat.INTERNALS)
def test_no_row_is_there_for_nothing(name: str) -> None:
    """A row that nobody uses would refuse a devpi-server that works."""
    word = re.compile(rf"\b{name.rpartition('.')[2]}\b")
    assert any(word.search(text) for text in SOURCES.values())


def test_all_that_is_imported_from_devpi_has_a_row() -> None:
    """An ImportError would come before the check."""
    imported = {name for text in SOURCES.values() for name in _imported(text)}
    listed = [f"{row}." for row in compat.INTERNALS]
    assert not {name for name in imported if not any(row.startswith(f"{name}.") for row in listed)}


def _imported(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "devpi_server":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
