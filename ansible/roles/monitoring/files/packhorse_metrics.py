#!/usr/bin/python3 -I
"""Count requests in nginx's logs of applications, for node exporter and munin, as a user without rights.

Each pass reads what is new in /var/log/nginx/packhorse/APP.access.log, adds it to counters, and writes these
together with the position in the log, in one step: a kill or a power cut counts no line twice and leaves none
out. What the agents of applications report (facts.json, see its commands/inspect/facts.py) is added.
No label comes from a visitor: methods, classes of status codes and bounds of durations are fixed lists.
"""

import bisect
import hashlib
import itertools
import json
import os
import re
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

LOGS = Path("/var/log/nginx/packhorse")
STATE = Path("/var/lib/packhorse-metrics")
FACTS = Path("/run/packhorse-facts")
SHOWN = Path("/run/packhorse-metrics")  # gone when this is: nobody takes old numbers for new ones
SECONDS = 15
CHUNK = 2**20
LONGEST_FACTS = 64 * 1024
OLDEST_FACTS = 300  # seconds: they come every minute
MOST_PROCESSES = 50  # of each application, within so many days:
REMEMBERED_DAYS = 30
POSITIONS = 8  # logs that are remembered for each application, of which two can grow

APP = re.compile(r"[a-z0-9-]{1,40}(\.[a-z0-9-]{1,40})?")
"""The name of an application, or on its balancers APP.TARGET."""
PROCESS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,30}")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other")
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")
BOUNDS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
"""Milliseconds, as nginx measures."""
DURATIONS = ("request", "application")
DURATION = re.compile(rb"([0-9]{1,9})\.([0-9]{3})")

Counters = dict[str, Any]


def fresh() -> Counters:
    """The counters of an application, as JSON has them."""
    return {
        "positions": {},  # log -> bytes that were read
        "requests": {},  # "GET 2xx" -> how many
        **{which: {"buckets": [0] * (len(BOUNDS) + 1), "milliseconds": 0} for which in DURATIONS},
        "skipped": 0,
    }


def count(counters: Counters, lines: Iterable[bytes]) -> None:
    """Add `lines` of an access log (packhorse-log.conf) to `counters`."""
    for line in lines:
        # nginx writes a quote inside of a value as \x22: these are the last ten that it wrote itself.
        parts = line.rsplit(b'"', 10)
        if len(parts) != 11 or not (status := re.fullmatch(rb" ([0-9]{3}) [0-9]+ ", parts[2])):
            counters["skipped"] += 1
            continue
        method = parts[1].partition(b" ")[0].decode("latin-1")
        key = f"{method if method in METHODS else 'other'} {status_class(status[1])}"
        counters["requests"][key] = counters["requests"].get(key, 0) + 1
        add(counters["request"], parts[8])
        if parts[9] != b"-":
            add(counters["application"], parts[9])


def status_class(code: bytes) -> str:
    """ "2xx" for 204; nginx passes on what applications invent."""
    return f"{chr(code[0])}xx" if b"1" <= code[:1] <= b"5" else "other"


def add(times: Counters, text: bytes) -> None:
    """Add a duration to a histogram; that of several tries ("0.001, 0.002") is their sum."""
    spent = sum(int(seconds + rest) for seconds, rest in DURATION.findall(text))
    times["buckets"][bisect.bisect_left(BOUNDS, spent)] += 1
    times["milliseconds"] += spent


def advance(counters: Counters, logs: Path, app: str) -> bool:
    """Count what is new in the log of `app` and in the part that was rotated last; whether anything was."""
    # The present log first: what is rotated meanwhile is then found under one of the two names, or both.
    opened = [open_log(logs / f"{app}.access.log{suffix}") for suffix in ("", ".1")]
    began, grown = not counters["positions"], False
    try:
        for number, file in reversed(list(enumerate(opened))):
            if file is None or not (name := identity(file)):
                continue
            size = os.fstat(file.fileno()).st_size
            # At the first pass, what was rotated before we came is history.
            start = counters["positions"].pop(name, size if began and number else 0)
            for lines in whole_lines(file, min(start, size)):
                count(counters, lines)
                grown = True
            counters["positions"][name] = file.tell()
            grown = grown or start != file.tell()
    finally:
        for file in filter(None, opened):
            file.close()
    for name in list(counters["positions"])[:-POSITIONS]:
        del counters["positions"][name]
    return grown


def open_log(path: Path) -> BinaryIO | None:
    """The regular file at `path`; None for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    file = os.fdopen(descriptor, "rb")
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return file
    file.close()
    return None


def identity(file: BinaryIO) -> str:
    """Identity of a log under all its names; "" before its first line is whole.

    An inode alone is used again, at once, when the oldest part is removed; the first line has a time.
    """
    first = file.readline(CHUNK)
    if not first.endswith(b"\n"):
        return ""
    return f"{os.fstat(file.fileno()).st_ino}-{hashlib.sha256(first).hexdigest()[:16]}"


def whole_lines(file: BinaryIO, start: int) -> Iterator[list[bytes]]:
    """Lines from `start` on, some at a time; `file` is left after the last whole one."""
    file.seek(start)
    while chunk := file.read(CHUNK):
        end = chunk.rfind(b"\n") + 1
        if end or len(chunk) == CHUNK:  # a megabyte without an end is no line of nginx
            start += end or len(chunk)
            file.seek(start)
            yield chunk[:end].splitlines()
        else:
            file.seek(start)
            return


def facts(path: Path) -> dict[str, Any]:
    """Numbers of known names that an application's user has written about it; {} if there are none.

    That user may put anything there: a link, a pipe, other JSON.
    """
    if (file := open_log(path)) is None:
        return {}
    with file:
        if time.time() - os.fstat(file.fileno()).st_mtime > OLDEST_FACTS:
            return {}
        data = file.read(LONGEST_FACTS)
    try:
        told = json.loads(data)
        processes = told.pop("processes", {})
        known = {name: told[name] for name in GAUGES if is_number(told.get(name))}
        known["processes"] = {
            name: {key: row[key] for key in PROCESS_GAUGES if is_number(row.get(key))}
            for name, row in processes.items()
            if PROCESS.fullmatch(name)
        }
    except (ValueError, AttributeError, TypeError, RecursionError):
        return {}
    return known


def familiar(processes: dict[str, Any], path: Path) -> dict[str, Any]:
    """Select the `processes` with names among the first ones of the last days, which `path` keeps.

    Each name is a time series for good: an application's user could tell others at each pass.
    """
    today = int(time.time()) // 86400
    try:
        before: dict[str, int] = json.loads(path.read_bytes())
    except FileNotFoundError:
        before = {}
    names = {name: day for name, day in before.items() if today - day < REMEMBERED_DAYS}
    for name in processes:
        if name in names or len(names) < MOST_PROCESSES:
            names[name] = today
    if names != before:
        write(path, json.dumps(names), 0o600)
    return {name: row for name, row in processes.items() if name in names}


def is_number(value: object) -> bool:
    """Whether JSON's `value` is a number that metrics can have: not NaN, not infinite, not of 4000 digits."""
    return isinstance(value, int | float) and abs(value) < 2**63


GAUGES = {
    "release": "Number of the release that should run.",
    "stopped": "1 while the application is stopped on purpose.",
    "maintenance": "1 in maintenance mode.",
    "last_deploy_good": "1 if the last deploy or rollback succeeded, 0 if it went back.",
    "last_deploy_timestamp_seconds": "When that ended.",
    "certificate_days": "Days that the certificate is still valid.",
}
PROCESS_GAUGES = {
    "processes": "Running processes of each type.",
    "processes_wanted": "How many there should be.",
    "process_restarts_last_hour": "Processes of each type that ended by themselves in the last hour.",
    "process_crash_loop": "1 while processes of this type end soon after each start.",
}


def prometheus(every: dict[str, dict[str, Any]]) -> str:
    """The metrics of all applications in Prometheus' text format."""
    logged = {app: known for app, known in every.items() if "requests" in known}
    families = [
        ("requests_total", "counter", "Requests by method and class of status code.", requests(logged)),
        ("request_seconds", "histogram", "Durations of requests.", histogram("request", logged)),
        (
            *("application_seconds", "histogram"),
            "Durations of requests that the application answered, without the way to the client.",
            histogram("application", logged),
        ),
        (
            *("log_lines_skipped_total", "counter", "Lines of access logs in another format."),
            [sample("log_lines_skipped_total", known["skipped"], app=app) for app, known in logged.items()],
        ),
        *((name, "gauge", about, gauge(name, every)) for name, about in GAUGES.items()),
        *((name, "gauge", about, process_gauge(name, every)) for name, about in PROCESS_GAUGES.items()),
    ]
    lines: list[str] = []
    for name, kind, about, samples in families:
        if rows := list(samples):
            lines += [f"# HELP packhorse_{name} {about}", f"# TYPE packhorse_{name} {kind}", *rows]
    return "".join(f"{line}\n" for line in lines)


def sample(name: str, value: float | str, **labels: str) -> str:
    """A line of the text format; no label has anything to escape."""
    pairs = ",".join(f'{key}="{text}"' for key, text in labels.items())
    return f"packhorse_{name}{{{pairs}}} {int(value) if isinstance(value, bool) else value}"


def requests(logged: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The samples of packhorse_requests_total. All classes are there from the start: rate() needs a zero."""
    for app, known in logged.items():
        for key in sorted({f"GET {each}" for each in CLASSES[:-1]} | set(known["requests"])):
            method, code = key.split(" ")
            yield sample("requests_total", known["requests"].get(key, 0), app=app, method=method, code=code)


def histogram(which: str, logged: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The samples of a histogram, which counts up from bound to bound."""
    bounds = [*(f"{bound / 1000:g}" for bound in BOUNDS), "+Inf"]
    for app, known in logged.items():
        totals = list(itertools.accumulate(known[which]["buckets"]))
        for bound, total in zip(bounds, totals, strict=True):
            yield sample(f"{which}_seconds_bucket", total, app=app, le=bound)
        yield sample(f"{which}_seconds_sum", f"{known[which]['milliseconds'] / 1000:.3f}", app=app)
        yield sample(f"{which}_seconds_count", totals[-1], app=app)


def gauge(name: str, every: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The samples of a number that an application's user tells."""
    return (sample(name, known[name], app=app) for app, known in every.items() if name in known)


def process_gauge(name: str, every: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The samples of such a number for each process type."""
    for app, known in every.items():
        for process, row in known.get("processes", {}).items():
            if name in row:
                yield sample(name, row[name], app=app, process=process)


def write(path: Path, text: str, mode: int) -> None:
    """Replace `path` in one step that survives a power cut."""
    scratch = path.with_name(f".{path.name}.new")
    with scratch.open("w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(folder)
    os.close(folder)


def load(path: Path) -> Counters:
    """The counters in `path`, or new ones."""
    try:
        found: Counters = json.loads(path.read_bytes())
    except FileNotFoundError:
        return fresh()
    return {**fresh(), **found}


def one_pass(logs: Path, state: Path, told: Path, shown: Path) -> None:
    """Bring counters and metrics up to date. What a metric shows is on the disk before."""
    logged = {path.name.partition(".access.log")[0] for path in logs.glob("*.access.log*")}
    names = logged | {path.parent.name for path in told.glob("*/facts.json")}
    every: dict[str, dict[str, Any]] = {}
    for app in sorted(filter(APP.fullmatch, names)):
        every[app] = facts(told / app / "facts.json")
        if every[app]:
            every[app]["processes"] = familiar(every[app]["processes"], state / f"{app}.processes")
        if app in logged:
            counters = load(state / f"{app}.json")
            if advance(counters, logs, app):
                write(state / f"{app}.json", json.dumps(counters), 0o600)
            every[app] |= {name: value for name, value in counters.items() if name != "positions"}
    write(shown / "packhorse.json", json.dumps(every), 0o644)
    write(shown / "packhorse.prom", prometheus(every), 0o644)


def main() -> None:
    """One pass after the other. A full disk holds the counters up, and loses nothing."""
    os.umask(0o022)
    while True:
        try:
            one_pass(LOGS, STATE, FACTS, SHOWN)
        except OSError as error:
            print(error, file=sys.stderr, flush=True)  # noqa: T201  # for the journal
        time.sleep(SECONDS)


if __name__ == "__main__":
    main()
