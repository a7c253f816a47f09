"""Run every benchmark, or those named by arguments or $BENCH; keep the rows in $BENCH_JSON if that is set."""

import argparse
import importlib
import os
import pkgutil
import sys
import traceback
from pathlib import Path

import bench.mirror
import bench.release
from bench.tools import rows


def main() -> int:
    """Exit status 0: every goal is met; 1: one is short, or a benchmark failed; 2: a name is unknown."""
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
    measured: list[rows.Row] = []
    failed = []
    for name in chosen:
        before = len(measured)
        try:
            measured += importlib.import_module(places[name]).run()
        except Exception:  # noqa: BLE001  # whatever one lacks, the others have taken an hour
            traceback.print_exc()
            failed.append(name)
        rows.show(name, measured[before:])
        if os.environ.get("BENCH_JSON"):
            rows.keep(measured, Path(os.environ["BENCH_JSON"]))
    if failed:
        print(f"Error: These benchmarks failed: {', '.join(failed)}.", file=sys.stderr)
        print(f"Hint: Run one alone: make bench BENCH={failed[0]}", file=sys.stderr)
    return 0 if not failed and all(row.met for row in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
