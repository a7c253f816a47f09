"""Judge what the hosts of a target answer: whether they are reached, what each found, where they differ."""

from collections.abc import Iterator, Mapping, Sequence

from packhorse.errors import PackhorseError
from release.agents import schedule
from release.deploy.balancers import HostStates
from release.doctor.report import Finding
from release.host.commands.inspect.doctor import FAILED, OK, WARNING, CheckResult
from release.variables import drift

# Certificates and logs live with a minute; a clock that is off by an hour breaks TLS.
CLOCK_WARNING, CLOCK_FAILED = 5.0, 60.0


def findings(
    hosts: Sequence[schedule.HostState], received: Mapping[str, float], target: str
) -> Iterator[Finding]:
    """All that was found; `received`: host -> the time here when its answer came."""
    for host in hosts:
        yield from (Finding(host.name, check) for check in _of_host(host, received.get(host.name)))
    yield from (Finding("", check) for check in differences(hosts, target))


def of_balancers(thoughts: Mapping[str, HostStates | PackhorseError]) -> Iterator[Finding]:
    """Findings about balancers, by the state of the hosts there."""
    for name, answer in thoughts.items():
        if isinstance(answer, PackhorseError):
            yield Finding(name, CheckResult("balancer", FAILED, answer.message, answer.hint))
            continue
        failing = {host: row["failure"] for host, row in answer.items() if row["failure"]}
        if not failing:
            yield Finding(name, CheckResult("balancer", OK, "all hosts answer it"))
        for host, why in failing.items():
            advice = f"Compare {host}: release status, and [addresses] in release.toml"
            yield Finding(name, CheckResult("balancer", FAILED, f"{host} does not serve: {why}", advice))


def _of_host(host: schedule.HostState, received: float | None) -> Iterator[CheckResult]:
    last = host.last or {}
    if last["event"] == "error":
        yield CheckResult("reached", FAILED, last["message"], last["hint"])
        return
    yield CheckResult("reached", OK, "the way there, its key, the login and the agent are in order")
    if received is not None:
        yield clock(last["time"] - received)
    for check in last["checks"]:
        yield CheckResult(**check)


def clock(offset: float) -> CheckResult:
    """The check of a clock that is `offset` seconds before ours."""
    state = OK if abs(offset) < CLOCK_WARNING else WARNING if abs(offset) < CLOCK_FAILED else FAILED
    if state == OK:
        return CheckResult("clock", OK, "as here, within seconds")
    text = f"{abs(offset):.0f} s {'before' if offset > 0 else 'behind'} the one here"
    return CheckResult(
        "clock", state, text, "Let systemd-timesyncd or chrony set it: timedatectl set-ntp true"
    )


def differences(hosts: Sequence[schedule.HostState], target: str) -> Iterator[CheckResult]:
    """Find differences between the hosts that answered."""
    facts = {host.name: host.last["facts"] for host in hosts if host.last and "facts" in host.last}
    if len(facts) < 2:
        return
    different = 0
    for name in next(iter(facts.values())):
        values: dict[str | None, list[str]] = {}
        for host, known in facts.items():
            values.setdefault(known.get(name), []).append(host)
        if len(values) > 1:
            different += 1
            yield CheckResult("drift", WARNING, _difference(name, values), _advice(name, target))
    if not different:
        yield CheckResult("drift", OK, "the hosts have the same release, configuration, Python and toolbox")


def _difference(name: str, values: Mapping[str | None, Sequence[str]]) -> str:
    if name == "code and configuration":  # digests say nothing to people
        return f"{name}: {' and '.join(', '.join(hosts) for hosts in values.values())} differ"
    return f"{name}: " + "; ".join(f"{value or 'none'} on {', '.join(on)}" for value, on in values.items())


def _advice(name: str, target: str) -> str:
    return f"release provision {target}" if name in {"toolbox", "Python"} else drift.remedy(target)
