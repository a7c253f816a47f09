"""What we took over from waitress, line by line, and have to look at again when waitress changes it."""

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from waitress.channel import HTTPChannel
from waitress.task import ThreadedTaskDispatcher


@pytest.mark.parametrize(
    ("method", "sha256"),
    [(ThreadedTaskDispatcher.handler_thread, "fe586964e3f09522"), (HTTPChannel.readable, "e4722238ce60c915")],
    ids=["FairDispatcher.handler_thread", "Channel.readable"],
)
def test_the_method_that_ours_replaces_is_as_it_was(method: Callable[..., Any], sha256: str) -> None:
    """Compare the two when this fails, and put the new hash here."""
    assert hashlib.sha256(inspect.getsource(method).encode()).hexdigest()[:16] == sha256
