"""Real servers for tests: a mirror for the whole session, and one for a single test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.helpers import Mirror, running_mirror, short_home


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


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty PACKHORSE_HOME with a short path."""
    with short_home() as folder:
        yield folder
