"""The promises of release.host.system.monitoring."""

import io
import os
import socket
from pathlib import Path

import pytest

from release.host.system import monitoring


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Where node exporter was set up; its port is one at which nobody listens."""
    (tmp_path / "prometheus-node-exporter.service.d").mkdir()
    (tmp_path / "prometheus-node-exporter.service.d/packhorse.conf").touch()
    return tmp_path


def test_nothing_is_said_of_hosts_that_nobody_measures(tmp_path: Path) -> None:
    """Monitoring is by choice."""
    assert list(monitoring.unit_states(tmp_path, tmp_path / "none")) == []


def test_what_does_not_answer_and_what_does_not_count_is_named(
    units: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks at graphs sees nothing, or old numbers."""

    def refuse(address: tuple[str, int], _timeout: float) -> None:
        raise ConnectionRefusedError(f"nobody at {address[1]}")

    monkeypatch.setattr(socket, "create_connection", refuse)
    exporter, counts = monitoring.unit_states(units, units / "none")
    assert exporter.unit == "prometheus-node-exporter"
    assert exporter.trouble == "port 9100 does not answer: nobody at 9100"
    assert counts == ("packhorse-metrics", "no metrics of applications are written")


def test_metrics_count_as_old_after_two_minutes(units: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are written every 15 seconds."""
    monkeypatch.setattr(socket, "create_connection", lambda *_: io.BytesIO())
    metrics = units / "packhorse.prom"
    metrics.touch()
    assert [answer.trouble for answer in monitoring.unit_states(units, metrics)] == ["", ""]
    os.utime(metrics, (0, 0))
    assert "s old" in list(monitoring.unit_states(units, metrics))[1].trouble
