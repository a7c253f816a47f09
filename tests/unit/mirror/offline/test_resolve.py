"""Resolving with uv: what it is asked for, and what its answers mean."""

from collections.abc import Mapping, Sequence

import pytest

from mirror.lockfiles import environments
from mirror.lockfiles.lock import Lock, LockedFile, Pin, Requirement
from mirror.offline import resolve
from mirror.offline.resolve import Place, Unresolved
from packhorse import process
from packhorse.process import Finished

ENVIRONMENTS = environments.wanted(["3.12"], ["linux-x86_64", "windows-arm64"])
LINUX, WINDOWS = ENVIRONMENTS
INDEX = "http://127.0.0.1:3141/company/dev/+simple/"
NO_WHEEL = """warning: something
error: No solution found
  cause: Because only-sdist==1.0 has no usable wheels
hint: Wheels are required for `only-sdist` because building from source is disabled for all packages
"""


class Uv:
    """uv, which answers in turn, and remembers what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Finished) -> None:
        self._answers = iter(answers)
        self.commands: list[Sequence[str]] = []
        self.inputs: list[str] = []
        self.environment: Mapping[str, str] = {}
        monkeypatch.setattr(process, "run", self.run)

    def run(self, command: Sequence[str], *, env: Mapping[str, str], stdin: str) -> Finished:
        self.commands.append(command)
        self.inputs.append(stdin)
        self.environment = env
        return next(self._answers)


def found(*lines: str) -> Finished:
    return Finished(0, "".join(f"{line}\n" for line in lines), "Resolved some\n")


def test_a_requirement_becomes_pins_of_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is built, one index is asked, no proxy, and no other Python is downloaded."""
    uv = Uv(monkeypatch, found("# a comment", "Flask==3.1", "win.32==1 ; sys_platform == 'win32'", ""))
    pins = resolve.resolve(["flask>=3"], WINDOWS, Place(INDEX))
    assert pins == (Pin("flask", "3.1"), Pin("win-32", "1"))
    assert {pin.environments for pin in pins} == {(WINDOWS,)}
    command = " ".join(uv.commands[0])
    assert "--no-build" in command
    assert "--python-platform aarch64-pc-windows-msvc --python-version 3.12.0" in command
    assert uv.environment["UV_DEFAULT_INDEX"] == INDEX
    assert (uv.environment["NO_PROXY"], uv.environment["UV_PYTHON_DOWNLOADS"]) == ("*", "never")


def test_uv_logs_in_unless_it_runs_programs_of_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A protected index takes a login. All users of a machine see arguments, and builds the environment."""
    uv = Uv(monkeypatch, found("flask==3.1"), found("flask==3.1"))
    for builds in (False, True):
        place = Place(INDEX, builds=builds, login=("root", "s3cret"))
        assert "s3cret" not in repr(place)
        assert resolve.resolve(["flask"], LINUX, place) == (Pin("flask", "3.1"),)
        given = uv.environment
        assert ("s3cret" in given.values()) == (not builds)
        assert (
            "s3cret" not in f"{given['UV_DEFAULT_INDEX']} {given['PIP_INDEX_URL']} {uv.commands} {uv.inputs}"
        )


def test_lines_without_hashes_are_resolved_within_the_pins_that_have_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`flask==3.1` alone lacks what it depends on; a lock with hashes lacks nothing."""
    uv = Uv(monkeypatch, found("flask==3.1", "jinja2==3.0"))
    locked = Pin("jinja2", "3.0", (LockedFile("x"),), environments=(LINUX,))
    bare = Pin("flask", "3.1", extras=("async",), environments=(LINUX,))
    lock = Lock(("x",), pins=(locked, bare), requirements=(Requirement("idna<3", constraint=True),))
    pins, unresolved = resolve.pins(lock, [LINUX], Place(INDEX))
    assert uv.inputs == ["flask[async]==3.1\n"]
    assert {str(pin) for pin in pins} == {"jinja2==3.0", "flask==3.1"}
    assert unresolved == []
    assert resolve.pins(Lock(("x",), pins=(locked,)), [LINUX], Place(INDEX)) == ((locked,), [])
    assert len(uv.inputs) == 1


def test_two_versions_of_a_project_are_resolved_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """`mirror prefetch ink==1.0 ink==2.1`: for two applications, and nothing installs both."""
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    uv = Uv(monkeypatch, found("ink==1.0", "idna==3"), found("ink==2.1", "idna==2"))
    bare = tuple(
        Pin(name, version, environments=(LINUX,))
        for name, version in (("ink", "1.0"), ("idna", "3"), ("ink", "2.1"))
    )
    lock = Lock(("x",), pins=bare, requirements=(Requirement("flask"), Requirement("x<3", constraint=True)))
    pins, unresolved = resolve.pins(lock, [LINUX], Place(INDEX))
    assert uv.inputs == ["flask\nink==1.0\nidna==3\n", "ink==2.1\n"]
    assert {str(pin) for pin in pins} == {"ink==1.0", "ink==2.1", "idna==3", "idna==2"}
    assert unresolved == []


def test_locks_with_two_versions_of_a_project_do_not_bound_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """uv would say that nothing fits."""
    bounds: list[Sequence[str]] = []

    def resolved(_lines: object, _where: object, _place: object, bound: Sequence[str]) -> tuple[Pin, ...]:
        bounds.append(bound)
        return ()

    monkeypatch.setattr(resolve, "resolve", resolved)
    locked = tuple(
        Pin(name, version, (LockedFile("x"),), environments=(LINUX,))
        for name, version in (("ink", "1.0"), ("ink", "2.1"), ("idna", "3"))
    )
    resolve.pins(Lock(("x",), pins=locked, requirements=(Requirement("flask"),)), [LINUX], Place(INDEX))
    assert bounds == [["idna==3"]]


@pytest.mark.parametrize("offline", [True, False])
def test_an_offline_mirror_is_asked_once(monkeypatch: pytest.MonkeyPatch, *, offline: bool) -> None:
    """Each 503 costs uv some seconds, and the next is the same."""
    uv = Uv(monkeypatch, found("flask==3.1"))
    resolve.resolve(["flask>=3"], LINUX, Place(INDEX, offline=offline))
    assert uv.environment.get("UV_HTTP_RETRIES") == ("0" if offline else None)


def test_what_has_an_sdist_only_is_resolved_without_it_when_its_version_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To learn what it depends on, its author's program would have to run."""
    uv = Uv(monkeypatch, Finished(1, "", NO_WHEEL), found("flask==3.1"))
    bare = (Pin("only-sdist", "1.0", environments=(LINUX,)), Pin("flask", "3.1", environments=(LINUX,)))
    pins, unresolved = resolve.pins(Lock(("x",), pins=bare), [LINUX], Place(INDEX))
    assert uv.inputs[1] == "flask==3.1\n"
    assert {str(pin) for pin in pins} == {"only-sdist==1.0", "flask==3.1"}
    assert unresolved == []
    Uv(monkeypatch, Finished(1, "", NO_WHEEL))
    (pins, (problem,)) = resolve.pins(
        Lock(("x",), requirements=(Requirement("only-sdist"),)), [LINUX], Place(INDEX)
    )
    assert "--allow-builds" in problem.reason
    assert pins == ()


def test_where_nothing_fits_the_pins_and_the_other_environments_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """uv's explanation is the reason; as much as can come comes."""
    Uv(
        monkeypatch,
        Finished(1, "", "warning: x\nerror: No solution\n  cause: because\n"),
        found("flask==3.1"),
    )
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    lock = Lock(("x",), pins=(Pin("idna", "3", environments=(LINUX,)),), requirements=(Requirement("flask"),))
    pins, unresolved = resolve.pins(lock, ENVIRONMENTS, Place(INDEX))
    assert {str(pin): pin.environments for pin in pins} == {"idna==3": (LINUX,), "flask==3.1": (WINDOWS,)}
    assert [str(each) for each in unresolved] == [
        "flask, idna==3 for 3.12 on linux-x86_64: No solution because"
    ]


def test_uv_knows_fewer_platforms_than_there_are() -> None:
    """A lock still does."""
    (other,) = environments.wanted(["3.12"], ["linux-s390x"])
    answer = resolve.resolve(["flask"], other, Place(INDEX))
    assert isinstance(answer, Unresolved)
    assert "name a lock" in answer.reason
