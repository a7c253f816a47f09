"""What docs/ says about the code: every path it names is there, and every package is on its map."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
# Where a path in the docs may begin.
ROOTS = ("", "mirror", "mirror/plugin", "release", "tests/integration")
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_that_a_page_names_is_there(page: Path) -> None:
    """A map of a house that was rebuilt sends a newcomer into walls."""
    named = set(re.findall(r"(?<![\w./])(?:[\w-]+/)+[\w-]+\.(?:py|md|toml)\b", page.read_text()))
    ours = {path for path in named if not path.startswith("your-application/")}
    missing = {path for path in ours if not any((CHECKOUT / root / path).exists() for root in ROOTS)}
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_writes_a_token_where_all_may_read_it(page: Path) -> None:
    """A shell makes files that everybody on the machine can read, unless umask says otherwise."""
    blocks = re.findall(r"^```sh.*?\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    readable = [
        line
        for lines in map(str.splitlines, blocks)
        for number, line in enumerate(lines)
        if re.search("token create .*>", line)
        and "umask 077" not in [*lines[:number], *line.strip("(").split("; ")]
    ]
    assert readable == []


def _packages() -> Iterator[str]:
    for top in ("packhorse", "mirror", "release"):
        for init in (CHECKOUT / top).rglob("__init__.py"):
            yield init.parent.name


def test_every_package_is_on_the_map() -> None:
    """A new folder has a line in the floor plan that says its subject."""
    text = (CHECKOUT / "docs" / "architecture.md").read_text()
    plan = text[text.index("## Floor plan") : text.index("## The mirror")]
    assert set(_packages()) <= set(re.findall(r"^ +(\w+)/ ", plan, re.MULTILINE))
