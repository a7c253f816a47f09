"""Real servers for tests: a mirror for the whole session, and one for a single test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.disks import Disk, forgetful_disk
from tests.support.mirror_and_upstream import Mirrored, mirror_of
from tests.support.servers import Mirror, running_mirror, short_home
from tests.support.upstream import Upstream


@pytest.fixture(scope="session")
def mirror_server() -> Iterator[Mirror]:
    """A mirror with the default indexes and the real upstream, shared: upload names of your own only."""
    with running_mirror() as mirror:
        yield mirror


@pytest.fixture
def fresh_mirror() -> Iterator[Mirror]:
    """A mirror of the test's own, to change, stop or break."""
    with running_mirror() as mirror:
        yield mirror


@pytest.fixture(scope="session")
def _session_mirrored() -> Iterator[Mirrored]:
    with Upstream() as upstream, mirror_of(upstream) as mirrored:
        yield mirrored


@pytest.fixture
def mirrored(_session_mirrored: Mirrored) -> Iterator[Mirrored]:
    """A mirror of an upstream that misbehaves on demand, shared: use project names of your own only."""
    _session_mirrored.upstream.reset()
    yield _session_mirrored
    _session_mirrored.upstream.reset()


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty PACKHORSE_HOME with a short path."""
    with short_home() as folder:
        yield folder


@pytest.fixture
def disk() -> Iterator[Disk]:
    """A disk of the test's own that forgets what nobody has synced. Needs root."""
    with forgetful_disk() as made:
        yield made
