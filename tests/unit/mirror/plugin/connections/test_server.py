"""Which connection is closed for a new one."""

from types import SimpleNamespace
from typing import Any

from mirror.plugin.connections.server import least_deserving


def channel(client: str, served_at: float, *, is_busy: bool = False) -> Any:  # noqa: ANN401 (a channel)
    return SimpleNamespace(client=client, served_at=served_at, is_busy=is_busy)


def test_the_client_with_most_connections_loses_the_one_that_waits_longest() -> None:
    """It is the attacker, or has more to lose than others; idle connections are closed without harm."""
    oldest, of_other = channel("a", 2), channel("b", 1)
    assert least_deserving([channel("a", 3), oldest, channel("a", 1, is_busy=True), of_other]) is oldest


def test_of_a_client_whose_requests_all_run_the_newest_is_closed() -> None:
    """Those that wait are not spared for others, who have fewer and may be idle."""
    newest = channel("a", 3, is_busy=True)
    assert least_deserving([channel("a", 2, is_busy=True), newest, channel("b", 1)]) is newest
