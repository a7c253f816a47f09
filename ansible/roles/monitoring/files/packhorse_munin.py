#!/usr/bin/python3 -I
"""Munin plugin: what packhorse-metrics counts. The name that it is called by says which graph."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

METRICS = Path("/run/packhorse-metrics/packhorse.json")
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")
Every = dict[str, dict[str, Any]]
Field = tuple[str, "list[str]", object]  # name, lines of its configuration, value


def requests(every: Every) -> Iterator[Field]:
    """Requests per second by class of status code."""
    for app, known in logged(every):
        for code in CLASSES:
            total = sum(number for key, number in known["requests"].items() if key.endswith(f" {code}"))
            yield f"{field(app)}_{code}", [f"label {app} {code}", *COUNTED], total


def seconds(every: Every) -> Iterator[Field]:
    """The mean duration of requests, which munin divides itself, and how many took more than a second."""
    for app, known in logged(every):
        times, name = known["request"], field(app)
        yield f"{name}_ms", [f"label {app} ms", *COUNTED, "graph no"], times["milliseconds"]
        yield f"{name}_all", [f"label {app} requests", *COUNTED, "graph no"], sum(times["buckets"])
        mean = [f"label {app} mean", *COUNTED, f"cdef {name}_ms,{name}_all,/,1000,/"]
        yield f"{name}_mean", mean, sum(times["buckets"])
        slow = sum(times["buckets"][8:])
        yield f"{name}_slow", [f"label {app} above 1 s, per second", *COUNTED], slow


def processes(every: Every) -> Iterator[Field]:
    """Processes that miss, and restarts in the last hour."""
    for app, known in every.items():
        for process, row in known.get("processes", {}).items():
            name = f"{field(app)}__{field(process)}"
            missing = max(0, row.get("processes_wanted", 0) - row.get("processes", 0))
            yield f"{name}_missing", [f"label {app} {process} missing", "warning :0"], missing
            restarts = row.get("process_restarts_last_hour")
            if restarts is not None:
                yield (
                    f"{name}_restarts",
                    [f"label {app} {process} restarts in the hour", "warning :5"],
                    restarts,
                )


def state(every: Every) -> Iterator[Field]:
    """Release, maintenance mode, last deploy, days of the certificate."""
    texts = {
        "release": ["label {app} release"],
        "maintenance": ["label {app} maintenance"],
        "last_deploy_good": ["label {app} last deploy good", "warning 1:"],
        "certificate_days": ["label {app} days of the certificate", "warning 21:", "critical 7:"],
    }
    for app, known in every.items():
        for name, lines in texts.items():
            if name in known:
                yield f"{field(app)}_{name}", [line.format(app=app) for line in lines], known[name]


COUNTED = ["type DERIVE", "min 0"]
GRAPHS = {
    "requests": (requests, "Requests by status code", "requests per second"),
    "seconds": (seconds, "Durations of requests", "seconds"),
    "processes": (processes, "Processes of applications", "number"),
    "state": (state, "State of applications", "number"),
}


def logged(every: Every) -> Iterator[tuple[str, dict[str, Any]]]:
    """The applications that have an access log."""
    return ((app, known) for app, known in every.items() if "requests" in known)


def field(name: str) -> str:
    """A name that munin takes. Applications have neither underscores nor capitals, so that two stay two."""
    return f"a{name.replace('-', '_').replace('.', '_T_')}"


def main(called: str, mode: str) -> None:
    """Print the configuration or the values of a graph."""
    graph, title, unit = GRAPHS[called.removeprefix("packhorse_")]
    try:
        every = json.loads(METRICS.read_bytes())
    except FileNotFoundError:
        every = {}
    lines = (
        [f"graph_title {title}", f"graph_vlabel {unit}", "graph_category packhorse"]
        if mode == "config"
        else []
    )
    for name, configuration, value in graph(every):
        if mode == "config":
            lines += [f"{name}.{line}" for line in configuration]
        else:
            lines.append(f"{name}.value {int(value) if isinstance(value, bool) else value}")
    sys.stdout.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main(Path(sys.argv[0]).name, sys.argv[1] if sys.argv[1:] else "fetch")
