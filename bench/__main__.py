"""Run every benchmark, or those named by arguments or $BENCH; keep the rows in $BENCH_JSON if that is set."""

import argparse
import importlib
import os
import pkgutil
import sys
from pathlib import Path

import bench.mirror
import bench.release
from bench.tools import rows


def main() -> int:
    """Exit status 0 when every goal is met, 1 when one is short, 2 for an unknown name."""
    places = {
        module.name: f"{folder.__name__}.{module.name}"
        for folder in (bench.mirror, bench.release)
        for module in pkgutil.iter_modules(folder.__path__)
    }
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join(places)}; without any: all"
    )
    named = [*parser.parse_args().names, os.environ.get("BENCH", "")]
    chosen = [name for name in named if name] or list(places)
    if unknown := [name for name in chosen if name not in places]:
        print(f"Error: There is no benchmark {', '.join(unknown)}.", file=sys.stderr)
        print(f"Hint: Take one of {', '.join(places)}.", file=sys.stderr)
        return 2
    measured = [row for name in chosen for row in importlib.import_module(places[name]).run()]
    rows.show(measured)
    if os.environ.get("BENCH_JSON"):
        rows.keep(measured, Path(os.environ["BENCH_JSON"]))
    return 0 if all(row.met for row in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
