"""Numbers: /metrics over all workers, and StatsD."""

import http.client
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sample_app.config import Settings
from sample_app.extensions import db
from sample_app.models import Role, User, now
from sqlalchemy import select
from support import free_port, needs, program, started, wait_until

from sample_app import board, create_app

PRODUCTION = {"ENVIRONMENT": "production", "SECRET_KEY": "of the tests" * 3, "METRICS_TOKEN": "of-prometheus"}
KEY = {"Authorization": "Bearer of-prometheus"}
HEALTHY = ("board_requests_total", "200", "health.healthz", "GET")


def user() -> User:
    """Somebody who may post."""
    role = db.session.scalar(select(Role).limit(1))
    made = User(email="anna@example.com", name="Anna", password_hash="-", role=role, confirmed_at=now())
    db.session.add(made)
    db.session.commit()
    return made


def samples(text: str) -> dict[tuple[str, ...], float]:
    """The value of each sample by its name and its labels' values, in order of the labels' names."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def ask(port: int, path: str, **headers: str) -> tuple[int, str]:
    """Status and text of the answer of a server on loopback, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@pytest.fixture
def site(app: Flask, tmp_path: Path) -> Iterator[int]:
    """The port of two gunicorn workers."""
    assert app.testing
    port = free_port()
    settings = ("--config", "python:sample_app.gunicorn_config", "--bind", f"127.0.0.1:{port}")
    with program(tmp_path, "gunicorn", *settings, "sample_app:create_app()", **PRODUCTION):
        log = tmp_path / "gunicorn.log"
        wait_until("workers boot", lambda: log.read_text().count("Booting worker") == 2)
        yield port


def test_all_workers_count_together_and_those_that_died(site: int, tmp_path: Path) -> None:
    """Each answer of /metrics comes from one worker, and has the numbers of all."""
    for _ in range(20):
        assert ask(site, "/healthz")[0] == 200
    assert samples(ask(site, "/metrics", **KEY)[1])[HEALTHY] == 20
    log = tmp_path / "gunicorn.log"
    booted = log.read_text().count("Booting worker")
    for name in (tmp_path / "metrics" / "0").glob("counter_*.db"):
        os.kill(int(name.stem.removeprefix("counter_")), signal.SIGKILL)
    wait_until("others boot", lambda: log.read_text().count("Booting worker") > booted)
    assert samples(ask(site, "/metrics", **KEY)[1])[HEALTHY] == 20


def test_numbers_are_not_for_everybody(site: int, app: Flask) -> None:
    """In production without a token for nobody."""
    assert ask(site, "/metrics")[0] == 401
    assert ask(site, "/metrics", Authorization="Bearer wrong")[0] == 401
    assert app.test_client().get("/metrics").status_code == 200
    closed = create_app(
        Settings(environment="production", secret_key="x" * 32, data_dir=app.config["SETTINGS"].data_dir)
    )
    assert closed.test_client().get("/metrics").status_code == 404


def test_labels_are_never_what_a_client_sends(app: Flask) -> None:
    """Else a scanner could make as many time series as it likes."""
    before = samples(app.test_client().get("/metrics").text)
    app.test_client().open("/surely/not/there", method="BREW")
    added = samples(app.test_client().get("/metrics").text).keys() - before.keys()
    assert ("board_requests_total", "404", "none", "other") in added
    assert not any("BREW" in key or "/surely" in str(key) for key in added)


def test_posted_links_are_counted(app: Flask) -> None:
    """The business metric."""
    client = app.test_client()
    before = samples(client.get("/metrics").text)["board_links_posted_total",]
    board.post(user(), url="https://example.com", title="Example")
    assert samples(client.get("/metrics").text)["board_links_posted_total",] == before + 1


COLLECTD = """
BaseDir "{folder}"
PIDFile "{folder}/pid"
TypesDB "/usr/share/collectd/types.db"
Hostname "collected"
Interval 0.5
LoadPlugin statsd
LoadPlugin csv
<Plugin statsd>
  Host "127.0.0.1"
  Port "{port}"
</Plugin>
<Plugin csv>
  DataDir "{folder}"
</Plugin>
"""


@needs("collectd")
def test_statsd_gets_times_codes_and_posted_links(app: Flask, tmp_path: Path) -> None:
    """collectd's server of the protocol writes what it has understood into files."""
    assert app.testing
    port = free_port(socket.SOCK_DGRAM)
    configuration = tmp_path / "collectd.conf"
    configuration.write_text(COLLECTD.format(folder=tmp_path, port=port))
    settings = Settings(
        environment="testing",
        data_dir=tmp_path,
        statsd_url=f"statsd://127.0.0.1:{port}",
        packhorse_app="shop",
    )
    measured = create_app(settings)
    with started(tmp_path, "collectd", "-f", "-C", str(configuration)), measured.app_context():

        def written() -> str:
            assert measured.test_client().get("/healthz").status_code == 200
            return " ".join(path.name for path in tmp_path.glob("collected/statsd/*"))

        wait_until("collectd writes", written)
        board.post(user(), url="https://example.com", title="Example")
        for number in (
            "derive-shop.requests.health_healthz.GET.200",
            "latency-shop.requests.health_healthz.GET-average",
            "derive-shop.links.posted",
        ):
            wait_until(number, lambda number=number: number in written())
        db.engine.dispose()
        measured.extensions["statsd"].close()
