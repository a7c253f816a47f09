"""The dashboard and the alerts of the docs ask for metrics and labels that exist."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric

from mirror.last_refresh import LastRefresh
from mirror.plugin.metrics import counters
from mirror.plugin.metrics.state import Sizes, StateCollector
from tests.support import documents
from tests.support.servers import run_command

ROOT = Path(__file__).parents[5]
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
OF_PROMETHEUS = {"up", "instance", "job", "le"}


def families() -> Iterator[Metric]:
    """All that a primary or a replica may show."""
    yield from counters.REGISTRY.collect()
    replica = {"serial": 1, "in-request": True, "last-request": 0.0}
    xom: Any = SimpleNamespace(
        keyfs=SimpleNamespace(get_current_serial=lambda: 1),
        is_replica=lambda: False,
        polling_replicas={"a": replica},
    )
    sizes = Sizes({"files": ROOT / "docs"})
    sizes.scan()
    refreshed = LastRefresh(1, 2, 3, next=4.0)
    yield from StateCollector(xom, ROOT, sizes, lambda: iter([1.0]), lambda: refreshed).collect()


def names() -> dict[str, Metric]:
    return {f"{family.name}{suffix}": family for family in families() for suffix in SUFFIXES[family.type]}


def expressions() -> Iterator[str]:
    dashboard = json.loads((ROOT / "docs/grafana-mirror.json").read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from re.findall(r"expr: (?:\|\n)?((?:.+\n)+?)(?=        for:)", rules())


def rules() -> str:
    return next(
        each.text for each in documents.blocks("monitoring-mirror.md") if each.filename == "rules.yml"
    )


# Of a mirror whose timer runs each Monday; values at every hour, from a look on.
WEEKLY = """\
rule_files: [rules.yml]
evaluation_interval: 1h
tests:
  - interval: 1h
    input_series:
      - {series: packhorse_mirror_last_refresh_success, values: 1x200}
      - {series: packhorse_mirror_last_refresh_timestamp_seconds, values: 0x200}
      - {series: packhorse_mirror_next_refresh_timestamp_seconds, values: 604800x200}
    alert_rule_test:
      - {eval_time: 169h, alertname: MirrorNotRefreshed, exp_alerts: []}
      - {eval_time: 172h, alertname: MirrorNotRefreshed, exp_alerts: [{}]}
"""


@pytest.mark.needs("promtool")
def test_a_look_that_does_not_come_is_an_alert_after_a_week_when_it_is_weekly(tmp_path: Path) -> None:
    """One that goes off each Wednesday is turned off, and with it the one that means something."""
    (tmp_path / "rules.yml").write_text(rules())
    (tmp_path / "weekly.yml").write_text(WEEKLY)
    run_command("promtool", "test", "rules", tmp_path / "weekly.yml", env=os.environ)


def labels_of(expression: str) -> set[str]:
    grouped = re.findall(r"by \(([^)]*)\)", expression)
    selected = re.findall(r"(\w+)(?:=~|=|!=)\"", expression)
    return {label.strip() for group in grouped for label in group.split(",")} | set(selected)


@pytest.mark.parametrize("expression", list(expressions()))
def test_each_expression_asks_for_what_there_is(expression: str) -> None:
    """A dashboard that shows nothing is worse than none: it looks as if all were quiet."""
    known = names()
    used = set(re.findall(r"\b(?:packhorse_mirror|process)_\w+", expression))
    assert used or expression.startswith("up{")
    assert used <= set(known)
    declared = {label for name in used for label in getattr(counters_of(name), "_labelnames", ())}
    sampled = {label for name in used for sample in known[name].samples for label in sample.labels}
    assert labels_of(expression) <= declared | sampled | OF_PROMETHEUS


def counters_of(name: str) -> object:
    """The counter that shows `name`, if a module of ours declares it."""
    return counters.REGISTRY._names_to_collectors.get(name)


def test_the_page_explains_each_metric() -> None:
    """Its table is the reference."""
    page = (ROOT / "docs/monitoring-mirror.md").read_text()
    shown = [name for name in names() if not name.startswith("process_")]
    without = {re.sub(r"_(bucket|count|sum)$", "", name).removeprefix("packhorse_mirror_") for name in shown}
    assert [name for name in sorted(without) if f"`{name}`" not in page] == []
