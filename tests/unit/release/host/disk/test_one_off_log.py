"""The promises of release.host.disk.one_off_log."""

import os
import re
from pathlib import Path

import pytest

from release.host.disk import one_off_log, releases
from release.host.disk.one_off_log import OneOffLog
from tests.support.release_folders import a_layout


def test_each_line_has_its_time_and_process_and_stays_whole(tmp_path: Path) -> None:
    """As the logs of processes: one reader for all. Streams do not mix within a line."""
    layout = a_layout(tmp_path)
    log = OneOffLog(layout, 7, "ab12", 4711)
    log.write("began\nhere")
    log.output(1, b"one\ntw")
    log.output(2, b"err\n")
    log.output(1, b"o\n\xff")
    log.flush()
    lines = log.path.read_bytes().splitlines()
    assert log.path == layout.logs / "run.7.ab12.log"
    assert [line.split(b" ", 2)[2] for line in lines] == [b"began here", b"one", b"err", b"two", b"\xff"]
    for line in lines:
        assert re.match(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z 4711 ", line)


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 MB of output leave two parts; many one-offs leave the newest logs. They go with their release."""
    layout = a_layout(tmp_path)
    monkeypatch.setattr(one_off_log, "MOST", 1000)
    monkeypatch.setattr(one_off_log, "KEPT", 3)
    for number in range(5):
        log = OneOffLog(layout, 7, f"n{number}", 4711)
        for _ in range(100):
            log.output(1, b"x" * 40 + b"\n")
        os.utime(log.path, (number, number))
    left = sorted(path.name for path in layout.logs.iterdir())
    assert left == [f"run.7.n{number}.log{part}" for number in (2, 3, 4) for part in ("", ".1")]
    assert all(path.stat().st_size <= 1000 for path in layout.logs.iterdir())
    releases.remove(layout, 7)
    assert not list(layout.logs.iterdir())


def test_a_long_line_goes_on_in_the_next(tmp_path: Path) -> None:
    """Memory is bounded, and nothing is lost; the mark says that the line goes on."""
    log = OneOffLog(a_layout(tmp_path), 7, "ab12", 4711)
    log.output(1, b"x" * 70_000)
    log.output(1, b"y\n")
    first, second = log.path.read_bytes().splitlines()
    assert first.split(b" ", 2)[1:] == [b"4711+", b"x" * 65536]
    assert second.split(b" ", 2)[1:] == [b"4711", b"x" * (70_000 - 65536) + b"y"]


def test_what_the_application_puts_in_its_place_is_not_followed(tmp_path: Path) -> None:
    """It may write to the folder of logs; the one-off goes on without a log."""
    layout, secret = a_layout(tmp_path), tmp_path / "secret"
    secret.write_text("")
    (layout.logs / "run.7.ab12.log").symlink_to(secret)
    log = OneOffLog(layout, 7, "ab12", 4711)
    log.output(1, b"text\n")
    assert secret.read_text() == ""
