"""The check that devpi-server is one that the plugin knows."""

import pytest

from mirror.plugin import compat
from packhorse.errors import PackhorseError


def test_the_installed_devpi_server_has_everything_that_the_plugin_touches() -> None:
    """The lock and the table agree; the day devpi changes, this names what to look at."""
    assert list(compat.changed(compat.INTERNALS)) == []


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("devpi_server.remote.RemoteStage", None, "is missing"),
        ("devpi_server.model.User.RemoteStage", None, "is missing"),
        ("devpi_server.model.User.modify", ("kwargs", "forgotten"), "has other parameters"),
    ],
)
def test_what_devpi_renamed_is_named(name: str, parameters: compat.Row, words: str) -> None:
    """An AttributeError in the middle of a request would not tell anybody what to do."""
    with pytest.raises(PackhorseError, match=f"devpi-server 7.0 .*{name} {words}"):
        compat.check({name: parameters}, version="7.0")


def test_attributes_that_devpi_only_declares_are_found() -> None:
    """devpi's constructors set what its classes annotate."""
    assert list(compat.changed({"devpi_server.keyfs.Transaction.commit_serial": None})) == []


def test_the_check_can_be_made_twice_in_a_process() -> None:
    """The second application finds devpi's classes replaced by ours, which are derived from them."""
    row = {"mirror.plugin.pages.invalidation.Transaction.dirty": None}
    assert list(compat.changed(row)) == []
