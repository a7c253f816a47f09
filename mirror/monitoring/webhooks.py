"""Ask the server how its webhooks do, have it send a test message, put the answers into lines."""

from collections.abc import Sequence
from typing import Any

from mirror.api import Api, RefusedError
from packhorse.errors import PackhorseError


def states(api: Api) -> list[dict[str, Any]]:
    """The state of each webhook: host, events, waiting, delivered, dropped, problem."""
    return _found(api, "/+webhooks")


def test(api: Api) -> list[dict[str, Any]]:
    """Have the server send each a message now: host, and the problem, "" for none."""
    return _found(api, "/+webhooks/test")


def _found(api: Api, path: str) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = api.call("GET", path)
    except RefusedError as error:
        if error.status != 404:
            raise
        raise PackhorseError(
            "The mirror that serves has no webhooks.",
            "Declare [[webhooks]] in mirror.toml, and restart the mirror (docs/monitoring-mirror.md).",
        ) from error
    return found


def state_line(state: dict[str, Any]) -> str:
    """A state for people."""
    counts = ", ".join(f"{state[key]} {key}" for key in ("delivered", "waiting", "dropped"))
    return f"{state['host']}  {','.join(state['events'])}  {counts}  {state['problem']}".rstrip()


def result_line(result: dict[str, Any]) -> str:
    """The result of a test, for people."""
    return f"{result['host']}  {result['problem'] or 'delivered'}"


def require_delivered(results: Sequence[dict[str, Any]]) -> None:
    """Raise PackhorseError when a test message was not delivered."""
    failed = [result["host"] for result in results if result["problem"]]
    if failed:
        raise PackhorseError(
            f"Not delivered: {', '.join(failed)}.",
            "Correct [[webhooks]] in mirror.toml, or that server. Messages about events are tried for a day.",
        )
