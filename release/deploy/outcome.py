"""Report the outcome of a command: sentences for people, JSON for scripts, the error to end with."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packhorse.errors import PackhorseError
from release.agents import schedule
from release.agents.connection import STOPPED
from release.agents.controller import Outcome
from release.deploy.balancers import HostStates
from release.variables import drift

DONE, UNCHANGED, REVERTED, UNTOUCHED, FAILED = "done", "unchanged", "reverted", "untouched", "failed"


def state(host: schedule.HostState) -> str:
    """State of a host that has ended: one of the words above."""
    last = host.last or {}
    if last["event"] == "error":
        return FAILED if host.failed else UNTOUCHED
    if last.get("reverted"):
        return REVERTED
    return UNCHANGED if last.get("unchanged") else DONE


def sentence(host: schedule.HostState) -> str:
    """Sentence about a host after a deploy or a rollback, without its name."""
    last = host.last or {}
    if state(host) in {DONE, UNCHANGED} and not last.get("release"):
        return "keeps the configuration for the first deploy"
    serves = f"{last.get('project')} {last.get('version')} (release {last.get('release')})"
    texts = {
        DONE: f"runs {serves}",
        UNCHANGED: f"ran {serves} already, with this configuration",
        REVERTED: f"was switched back to {serves}" if last.get("release") else "was switched back to nothing",
        UNTOUCHED: "was not touched",
        FAILED: f"failed: {last.get('message')}",
    }
    return texts[state(host)]


def as_json(host: schedule.HostState) -> dict[str, Any]:
    """A host for scripts: its name, its state, and the last event of its agent."""
    last = {key: value for key, value in (host.last or {}).items() if key != "event"}
    return {"host": host.name, "outcome": state(host), **last}


def summary(outcome: Outcome, target: str, seconds: float, left_out: Sequence[str] = ()) -> str:
    """The last line of a deploy or a rollback that went well on all hosts but those that were `left_out`."""
    results = [host.last or {} for host in outcome.hosts]
    last = results[0]
    if not last["release"]:
        return f"Kept for the first deploy: release deploy {target}"
    what, way_in = f"{last['project']} {last['version']}", access(results)
    if left_out:
        others = ", ".join(left_out)
        return (
            f"{what} runs on {len(outcome.hosts)} of {len(outcome.hosts) + len(left_out)} hosts of {target}: "
            f"{way_in}  ({seconds:.1f} s)\n"
            f"Left out: {others}. Later: {drift.remedy(target, outcome.hosts[0].name)}"
        )
    if len(outcome.hosts) > 1:
        return f"{what} runs on all {len(outcome.hosts)} hosts of {target}: {way_in}  ({seconds:.1f} s)"
    where = f"release {last['release']} on {target}: {way_in}"
    if last["unchanged"]:
        return f"{what} runs already, with this configuration, as {where}"
    return f"{what} is {where}  ({seconds:.1f} s)"


def maintenance(state: Mapping[str, Any]) -> str:
    """Maintenance mode as one sentence, from the state that a host has sent."""
    parts = [f"maintenance mode is on since {state['at']}, by {state['by']}: 503 with "]
    parts.append("a page of yours" if state["page"] else "the built-in page")
    parts.append(f", Retry-After {state['retry_after']} s")
    parts.append(f"; open: {' '.join(state['allow'])}" if state["allow"] else "")
    parts.append(f"; it ends with the deploy of release {state['deploy']}" if state["deploy"] else "")
    return "".join(parts)


def access(results: Sequence[Mapping[str, Any]]) -> str:
    """Public URLs of an application, by the `results` of its hosts, or why there are none."""
    closed = ", which answers 503: maintenance mode is on"
    return _address(results) + (closed if any(result.get("maintenance") for result in results) else "")


def _address(results: Sequence[Mapping[str, Any]]) -> str:
    urls = dict.fromkeys(result["url"] for result in results if result["url"])
    if urls:
        return " ".join(urls)
    if not results[0]["address"]:
        return "it has no web, and answers no requests"
    return (
        f"it serves {results[0]['address']}, and no vhost of ours leads there: domains in release.toml, and "
        "release provision"
    )


def behind(outcome: Outcome) -> dict[str, int]:
    """Hosts with an earlier release than another one has -> the newest release; of a `release status`."""
    numbers = {
        host.name: number if isinstance(number := host.last.get("release"), int) else 0
        for host in outcome.hosts
        if host.last and "state" in host.last
    }
    newest = max(numbers.values(), default=0)
    return {name: newest for name, number in numbers.items() if number < newest}


def balancers(thoughts: Mapping[str, HostStates | PackhorseError]) -> Iterator[str]:
    """Lines about what each balancer thinks of the hosts."""
    for name, answer in thoughts.items():
        if isinstance(answer, PackhorseError):
            yield f"balancer {name}: {answer.message} {answer.hint}"
            continue
        texts = [f"{host} {_thought(row)}" for host, row in answer.items()]
        yield f"balancer {name}: {', '.join(texts)}"


def _thought(row: Mapping[str, Any]) -> str:
    reason = row["failure"] or ("it is being switched" if row["held"] else "")
    if row["out"]:
        return f"is out: {reason}"
    return f"is in, as too few others are: {reason}" if reason else "is in"


def balancers_as_json(thoughts: Mapping[str, HostStates | PackhorseError]) -> list[dict[str, Any]]:
    """The same for scripts."""
    return [
        {"balancer": name, "error": f"{answer.message} {answer.hint}"}
        if isinstance(answer, PackhorseError)
        else {"balancer": name, "hosts": [{"host": host, **row} for host, row in answer.items()]}
        for name, answer in thoughts.items()
    ]


def artifacts(outcome: Outcome) -> list[dict[str, Any]]:
    """Identities of the artifacts that a planned rollback installs, as far as hosts have them; each once."""
    found = [(host.last or {}).get("artifact") for host in outcome.hosts]
    return [each for position, each in enumerate(found) if each and each not in found[:position]]


def plans(outcome: Outcome, batch: int) -> Iterator[str]:
    """Lines of a plan; hosts with equal plans are named together."""
    plans: dict[tuple[str, ...], list[str]] = {}
    for host, last in outcome.results.items():
        plans.setdefault(tuple(last["plan"]), []).append(host)
    for plan, names in plans.items():
        yield f"{', '.join(names)}:"
        yield from (f"  {number}. {text}" for number, text in enumerate(plan, 1))
    if len(outcome.hosts) > 1:
        yield f"{outcome.hosts[0].name} is switched first, then {batch} at a time; if one fails, all go back."


def error(outcome: Outcome, target: str, *, named: bool) -> PackhorseError | None:
    """The error that the command ends with; None when every host did what was asked.

    The first host that failed on its own says why; what happened to the others follows from it. `target`: its
    name; `named`: with the name of the host.
    """
    for host in outcome.hosts:
        if host.failed and host.last:
            return failure(host.last, f"{host.name}: " if named else "")
    if outcome.stopped:
        back = any(state(host) == REVERTED for host in outcome.hosts)
        stopped = PackhorseError(
            f"{outcome.stopped}: {'switched back' if back else 'stopped before the switch'}.",
            "What ran before runs on; run the command again.",
        )
        stopped.exit_code = STOPPED
        return None if all(state(host) in {DONE, UNCHANGED} for host in outcome.hosts) else stopped
    reason = schedule.conflict(outcome.hosts)
    if reason and any(state(host) == UNTOUCHED for host in outcome.hosts):
        hint = (
            f"Nothing was started; name what all should run: release rollback {target} N, "
            f"{drift.remedy(target)}, or deploy a version."
        )
        if schedule.drift(outcome.hosts):
            hint = (
                f"See who changed what: release releases {target}; then choose whose is right: "
                f"{drift.remedy(target)}"
            )
        return PackhorseError(reason, hint)
    return None


def failure(last: schedule.Event, prefix: str = "") -> PackhorseError:
    """The error that a host has sent as its last event."""
    error = PackhorseError(f"{prefix}{last['message']}", last["hint"], detail=last["detail"])
    error.exit_code = last["exit_code"]
    return error
