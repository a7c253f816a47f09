"""When packhorse-acme asks the authority, and for what."""

import contextlib
import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

PROGRAM = Path(__file__).parents[3] / "ansible/roles/acme/files/packhorse_acme.py"
DAY = 86400.0


@pytest.fixture(scope="module")
def acme() -> ModuleType:
    spec = importlib.util.spec_from_file_location("packhorse_acme", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def certificate(
    acme: ModuleType, left: float, days: float = 90, names: tuple[str, ...] = ("a", "b")
) -> object:
    """One of `days` with so many days `left`."""
    now = time.time()
    return acme.Certificate(Path("/x"), frozenset(names), now + (left - days) * DAY, now + left * DAY)


@pytest.mark.parametrize(
    ("left", "days", "wanted", "due"),
    [
        (31, 90, ["a", "b"], False),
        (29, 90, ["a", "b"], True),
        (3, 6, ["a", "b"], False),  # some authorities issue for days only
        (1.9, 6, ["a", "b"], True),
        (80, 90, ["a"], False),  # a domain was taken out
        (80, 90, ["a", "b", "c"], True),  # and one has come
    ],
)
def test_a_third_of_the_time_is_left_for_the_renewal(
    acme: ModuleType, left: float, days: float, wanted: list[str], *, due: bool
) -> None:
    """Whatever the authority calls a long time."""
    assert certificate(acme, left, days).is_due(wanted) == due  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("left", "refused", "orders"),
    [
        (None, [], [["a", "b"]]),
        (None, ["b"], [["a", "b"], ["a"]]),
        (None, ["a", "b"], [["a", "b"]]),
        (29, ["b"], [["a", "b"]]),  # b is served: it may come back
        (8, ["b"], [["a", "b"], ["a"]]),  # but it takes nobody along
    ],
)
def test_a_domain_that_is_refused_neither_stops_the_others_nor_is_dropped_at_once(
    acme: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    left: float | None,
    refused: list[str],
    orders: list[list[str]],
) -> None:
    """DNS that fails for a night must not take HTTPS from a domain that has weeks left."""
    asked = []

    def order(_app: str, _settings: object, names: list[str]) -> str:
        asked.append(names)
        return "\n".join(f"[{name}] acme: error: 400" for name in names if name in refused)

    monkeypatch.setattr(acme, "order", order)
    present = None if left is None else certificate(acme, left)
    said = acme.obtain("shop", {}, ["a", "b"], present)
    assert asked == orders
    assert all(f"[{name}]" in said for name in refused)


def test_a_new_domain_that_is_refused_asks_for_no_second_certificate(
    acme: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others have theirs: authorities count how often the same is asked for."""
    asked = []

    def order(_app: str, _settings: object, names: list[str]) -> str:
        asked.append(names)
        return "[c] acme: error"

    monkeypatch.setattr(acme, "order", order)
    acme.obtain("shop", {}, ["a", "b", "c"], certificate(acme, 80))
    assert asked == [["a", "b", "c"]]


def test_failures_are_further_and_further_apart_and_never_five_in_an_hour(acme: ModuleType) -> None:
    """Public authorities count; somebody who has mended it does not wait for the timer."""
    now = time.time()
    assert acme.State().may_ask(by_hand=False)
    waits = [acme.State([now] * number).again - now for number in (1, 2, 3, 10)]
    assert waits == pytest.approx([3600, 7200, 14400, 86400])
    assert not acme.State([now - 60]).may_ask(by_hand=False)
    assert acme.State([now - 60] * 3).may_ask(by_hand=True)
    assert not acme.State([now - 60] * 4).may_ask(by_hand=True)
    assert acme.State([now - 3700, *[now - 60] * 3]).may_ask(by_hand=True)


@pytest.mark.parametrize(
    ("left", "wanted", "force", "asks"),
    [
        (80, ["a"], False, False),
        (80, ["a"], True, True),
        (80, ["a", "b", "c"], False, True),  # a domain has come
        (50, ["a"], False, True),
    ],
)
def test_a_new_certificate_is_renewed_with_a_word_alone(  # a table
    acme: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    left: float,
    wanted: list[str],
    *,
    force: bool,
    asks: bool,
) -> None:
    """An authority that was asked for it five times in a week issues none when it is needed."""
    asked = []

    def obtain(*_: object) -> str:
        asked.append(1)
        return ""

    (tmp_path / "shop/certificates").mkdir(parents=True)
    (tmp_path / "shop.json").write_text(f'{{"domains": {json.dumps(wanted)}}}')
    monkeypatch.setattr(acme, "SETTINGS", tmp_path)
    monkeypatch.setattr(acme, "STATE", tmp_path)
    monkeypatch.setattr(acme, "newest", lambda _folder: certificate(acme, left))
    monkeypatch.setattr(acme, "obtain", obtain)
    monkeypatch.setattr(acme, "show", lambda *_: None)
    with contextlib.nullcontext() if asks else pytest.raises(acme.Problem, match="--renew --force"):
        acme.main("shop", renew=True, force=force)
    assert bool(asked) == asks
    acme.main("shop", by_hand=True)  # of provisioning: it never asks for what is good
    assert len(asked) == asks + ("c" in wanted)


def test_the_redirect_is_for_the_certificate_s_names_alone(acme: ModuleType) -> None:
    """Every other name would get a certificate that is not its own."""
    text = acme.snippet(certificate(acme, 80), ["shop.example.com", "a-b.example.com"])
    assert '"^0http (shop[.]example[.]com|a-b[.]example[.]com)$"' in text
    assert "ssl_certificate /x/fullchain.pem;" in text


@pytest.mark.parametrize("app", ["../shop", "-h", "shop/x", "", "shop\n"])
def test_a_name_that_is_none_is_refused(acme: ModuleType, app: str) -> None:
    """It becomes part of paths."""
    with pytest.raises(ValueError, match="no application of this name"):
        acme.main(app)


@pytest.mark.parametrize("domain", ["-x", "a b", "a\nb", "a;", "*.example.com", ""])
def test_a_domain_that_is_none_reaches_neither_nginx_nor_the_authority(
    acme: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, domain: str
) -> None:
    """The file is root's; that it says what release.toml may say is looked at twice."""
    monkeypatch.setattr(acme, "SETTINGS", tmp_path)
    (tmp_path / "shop.json").write_text(acme.json.dumps({"domains": ["shop.example.com", domain]}))
    with pytest.raises(ValueError, match="its domains are none"):
        acme.main("shop")


def test_what_the_authority_says_is_text_and_short(acme: ModuleType) -> None:
    """It is shown in terminals."""
    log = f"2026/01/01 00:00:00 [INFO] fine\n2026/01/01 00:00:00 Could not\x1b[31m\n{'x' * 5000}\n"
    said = acme.reason(log)
    assert len(said) == acme.LONGEST_REASON
    assert acme.reason(log.replace("x", "")) == "Could not?[31m"


def test_lego_runs_as_a_user_of_its_own_whatever_the_challenges_have(
    acme: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It joins a token of the authority to a path without a look; root would write anywhere, say to cron."""
    given, started = [], []
    monkeypatch.setattr(acme, "STATE", tmp_path)
    monkeypatch.setattr(acme.pwd, "getpwnam", lambda name: SimpleNamespace(pw_uid=name, pw_gid=name))
    monkeypatch.setattr(acme.os, "chown", lambda *owned, **how: given.append((*owned, how)))

    def run(_command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        started.append((options["user"], options["group"], options["extra_groups"]))
        (tmp_path / "shop/challenges/left").touch()
        return subprocess.CompletedProcess([], 1, stderr="")

    monkeypatch.setattr(acme.subprocess, "run", run)
    challenges, lego = tmp_path / "shop/challenges", tmp_path / "shop/lego"
    (challenges / ".well-known").mkdir(parents=True)
    (challenges / "left").symlink_to("/nowhere")
    (lego / "accounts").mkdir(parents=True)
    acme.order("shop", {"directory": "https://ca", "contact": "x@y.z"}, ["a"])
    user = "packhorse-acme"
    assert started == [(user, user, [])]
    alone = {"follow_symlinks": False}
    assert given == [(path, user, user, alone) for path in (challenges, lego, lego / "accounts")]
    assert list(challenges.iterdir()) == []
