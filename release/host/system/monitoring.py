"""Check that node exporter or munin-node answers on this host, and that requests are counted."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PORTS = {"prometheus-node-exporter": 9100, "munin-node": 4949}
UNITS = Path("/etc/systemd/system")
METRICS = Path("/run/packhorse-metrics/packhorse.prom")
OLDEST = 120.0  # seconds: it is written every 15
TIMEOUT = 5.0


class UnitState(NamedTuple):
    """State of a unit: `trouble` is "" while it does its work."""

    unit: str
    trouble: str


def unit_states(units: Path = UNITS, metrics: Path = METRICS) -> Iterator[UnitState]:
    """States of the units that provisioning has set up here; none where it has not."""
    present = [unit for unit in PORTS if (units / f"{unit}.service.d/packhorse.conf").exists()]
    for unit in present:
        try:
            socket.create_connection(("127.0.0.1", PORTS[unit]), TIMEOUT).close()
        except OSError as error:
            yield UnitState(unit, f"port {PORTS[unit]} does not answer: {error}")
        else:
            yield UnitState(unit, "")
    if present:
        yield UnitState("packhorse-metrics", _age(metrics))


def _age(metrics: Path) -> str:
    try:
        age = time.time() - metrics.stat().st_mtime
    except OSError:
        return "no metrics of applications are written"
    return f"the metrics of applications are {age:.0f} s old" if age > OLDEST else ""
