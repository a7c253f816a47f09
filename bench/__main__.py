"""Run every benchmark, or the one named by $BENCH; keep the rows in $BENCH_JSON if that is set."""

import importlib
import os
import pkgutil
import sys
from pathlib import Path

import bench
from bench.tools import rows


def main() -> int:
    """Exit status 0 when every goal is met, 1 when one is short, 2 for an unknown name."""
    modules = [module.name for module in pkgutil.iter_modules(bench.__path__)]
    known = [name for name in modules if name not in {"__main__", "tools"}]
    chosen = [os.environ["BENCH"]] if os.environ.get("BENCH") else known
    if unknown := set(chosen) - set(known):
        print(f"There is no benchmark {', '.join(unknown)}.\nKnown: {', '.join(known)}", file=sys.stderr)
        return 2
    measured = [row for name in chosen for row in importlib.import_module(f"bench.{name}").run()]
    rows.show(measured)
    if os.environ.get("BENCH_JSON"):
        rows.keep(measured, Path(os.environ["BENCH_JSON"]))
    return 0 if all(row.met for row in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
