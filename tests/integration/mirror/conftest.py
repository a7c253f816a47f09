"""Fixtures of modules that have a mirror and an upstream of their own, with nginx in front."""

from collections.abc import Iterator

import pytest

from tests.support.servers import free_port
from tests.support.upstream import Upstream


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture(scope="module")
def port() -> int:
    """A port for nginx."""
    return free_port()
