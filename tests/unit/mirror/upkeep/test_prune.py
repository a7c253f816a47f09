"""What `mirror prune` asks, does and says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror.config import Prune
from mirror.serving import status
from mirror.serving.status import UpstreamReport
from mirror.upkeep import prune, rules
from mirror.upkeep.prune import Chosen, Plan, Rules
from packhorse.errors import PackhorseError


def file(project: str, version: str, *, size: int = 1000, links: int = 1, listed: bool = True) -> Chosen:
    path = f"root/pypi/+f/abc/0123456789abc/{project}-{version}.zip"
    return {
        "path": path, "project": project, "version": version, "size": size, "used": 7.5, "links": links,
        "listed": listed, "yanked": False,
    }  # fmt: skip


FILES = [file("small", "1.0"), file("large", "1.0", size=5000), file("large", "2.0", links=2)]
PLAN = Plan(FILES, [], files=10, bytes=20_000, offline=False, last_use_is_kept=True)


class _Api:
    """Remembers what it is asked; all files but one are gone."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, Any]] = []

    def call(self, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 (JSON)
        self.calls.append((method, path, body))
        return [path for path in body if "small" not in path]

    def accepts(self, user: str, password: str) -> bool:
        raise NotImplementedError(user, password)


@pytest.mark.parametrize("configured", [Prune(), Prune(keep_last=1)])
@pytest.mark.parametrize("keep_last", [None, 0])
def test_without_a_rule_nothing_may_go(configured: Prune, keep_last: int | None) -> None:
    """All would; what is to stay says nothing about the rest, and `--keep-last 0` is no rule either."""
    with pytest.raises(PackhorseError, match="No rule"):
        rules.Given(keep_last, None, None).or_else(configured)


def test_files_go_in_pieces_and_those_used_meanwhile_stay() -> None:
    """A piece holds up who stores a file; one more call tidies up."""
    api, steps = _Api(), list[None]()
    many = [file("demo", str(number)) for number in range(prune.AT_ONCE)]
    gone = prune.remove(api, [*many, *FILES], lambda: steps.append(None))
    assert [each["project"] for each in gone] == ["demo"] * prune.AT_ONCE + ["large"] * 2
    assert [len(body) for _, _, body in api.calls] == [prune.AT_ONCE, len(FILES), 0]
    assert len(steps) == len(many) + len(FILES)
    assert api.calls[1][2][FILES[0]["path"]] == FILES[0]["used"]


def test_a_dry_run_says_what_goes_by_project_and_what_the_disk_gets_back() -> None:
    assert prune.table(FILES) == ["large  2 files  6.0 kB  1.0, 2.0", "small  1 file  1.0 kB  1.0"]
    assert prune.total(PLAN, None) == (
        "would remove 3 files with 7.0 kB"
        " (1.0 kB of that stay on the disk as long as a backup there has them)"
        "; 7 files with 13.0 kB stay"
    )
    assert prune.total(PLAN, FILES[:1]) == "removed 1 file with 1.0 kB; 9 files with 19.0 kB stay"


def test_many_versions_are_counted() -> None:
    (line,) = prune.table([file("demo", str(number)) for number in range(9)])
    assert line.endswith("0, 1, 2, 3, 4 and 4 more versions")


class _Indexes(_Api):
    """A mirror with one index of an upstream."""

    def call(self, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 (JSON)
        self.calls.append((method, path, body))
        return {"root": {"indexes": {"pypi": {"mirror_url": "https://user:secret@up.example.com/simple/"}}}}


@pytest.mark.parametrize(("code", "error"), [(None, "connection refused"), (503, None), (403, None)])
def test_nothing_goes_that_an_upstream_could_not_give_again(
    monkeypatch: pytest.MonkeyPatch, code: int | None, error: str | None
) -> None:
    """Whoever frees a disk while the network is down would have an empty mirror."""
    report = UpstreamReport("https://up.example.com/simple/", code, 0.5, error)
    monkeypatch.setattr(status, "ask_upstream", lambda *_: report)
    held = prune.hold_back(PLAN, prune.unreachable(_Indexes(), PLAN))
    assert (held.chosen, held.out_of_reach) == ([], FILES)
    (said,) = prune.warnings(held, Rules())
    assert said.startswith(f"The upstream {report}: 3 files with 7.0 kB would go, but")
    assert prune.as_json(held, None)["spared"] == FILES
    with pytest.raises(PackhorseError, match=r"3 files with 7\.0 kB could not be had again"):
        prune.refuse_unreachable(held)


def test_an_upstream_that_answers_is_no_reason_to_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with 404: it may lack the project that is asked for. Each is asked once."""
    asked: list[str] = []

    def ask(url: str, _: object) -> UpstreamReport:
        asked.append(url)
        return UpstreamReport(url, 404, 0.5, None)

    monkeypatch.setattr(status, "ask_upstream", ask)
    held = prune.hold_back(PLAN, prune.unreachable(_Indexes(), PLAN))
    assert (held.chosen, len(asked)) == (FILES, 1)
    prune.refuse_unreachable(held)


def test_offline_nothing_goes_without_being_asked_for_twice() -> None:
    """No upstream is asked, and none would be."""
    offline = replace(PLAN, offline=True)
    held = prune.hold_back(offline, prune.unreachable(_Api(), offline))
    assert (held.chosen, held.out_of_reach) == ([], FILES)
    with pytest.raises(PackhorseError, match="offline"):
        prune.refuse_unreachable(held)


def test_nobody_is_asked_about_nothing() -> None:
    api = _Api()
    assert prune.unreachable(api, replace(PLAN, chosen=[])) == {}
    assert api.calls == []


def test_what_is_spared_and_what_is_not_seen_is_said() -> None:
    assert prune.warnings(PLAN, Rules()) == []
    spared, unseen = prune.warnings(replace(PLAN, spared=FILES[:1], last_use_is_kept=False), Rules())
    assert ("1 file with 1.0 kB" in spared, "--yes" in spared, "noatime" in unseen) == (True, True, True)


def test_rules_of_mirror_toml_hold_when_none_is_given() -> None:
    configured = Prune(max_size="50G", keep_last=2)
    asked = rules.of(rules.Given(None, None, None).or_else(configured), (), Path("/"))
    assert (asked.most, asked.keep_last, asked.unused_since) == (50 * 10**9, 2, None)
    given = rules.of(rules.Given(None, "1d", None).or_else(configured), (), Path("/"))
    assert (given.most, given.unused_since is None) == (None, False)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (rules.Given(None, None, "10k"), 2),
        (rules.Given(None, "90d", None), 2),
        (rules.Given(1, None, "10k"), 1),
        (rules.Given(0, None, "10k"), 0),
    ],
)
def test_keep_last_of_mirror_toml_guards_whatever_else_is_given(given: rules.Given, kept: int) -> None:
    """Who gives --keep-last means another number."""
    assert rules.of(given.or_else(Prune(keep_last=2)), (), Path("/")).keep_last == kept


def test_releases_that_locks_pin_are_kept(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("Some.Demo==1.0.0\n")
    asked = rules.of(rules.Given(1, None, None), [lock], Path("/"))
    assert asked.keep == frozenset({("some-demo", "1")})


@pytest.mark.parametrize("given", [rules.Given(None, "90", None), rules.Given(None, None, "x")])
def test_what_is_no_size_and_no_time_is_named(given: rules.Given) -> None:
    with pytest.raises(PackhorseError, match=r"--(unused-for|max-size): "):
        rules.of(given, (), Path("/"))


def test_a_limit_that_cannot_be_reached_is_named_with_what_is_in_the_way() -> None:
    """13 kB of the 20 kB stay: silence would pass for success."""
    (said,) = prune.warnings(PLAN, Rules(keep_last=2, most=12_000, keep=frozenset({("demo", "1")})))
    assert said == (
        "The limit of 12.0 kB cannot be reached: 13.0 kB stay, because of"
        " --keep-last 2 (or keep_last of mirror.toml) and the locks of --keep."
    )
    limited, _ = prune.warnings(replace(PLAN, spared=FILES[:1]), Rules(most=12_000))
    assert limited.endswith("because of files that could not be had again.")
    assert prune.warnings(PLAN, Rules(keep_last=2, most=13_000)) == []
