"""Dependencies: what the code imports is declared."""

import ast
import re
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import sample_app


def test_everything_that_is_imported_is_declared() -> None:
    """What another package brings along today, it may leave out tomorrow."""
    names = set()
    for path in Path(sample_app.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    roots = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"sample_app"}
    declared = {re.split(r"[\[<>=; ]", line)[0].lower() for line in requires("sample-app") or ()}
    known = packages_distributions()
    assert [
        root
        for root in sorted(roots)
        if not {name.lower().replace("_", "-") for name in known[root]} & declared
    ] == []
