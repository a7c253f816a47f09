"""What packhorse-copies lets other hosts do: add, and nothing else."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[3] / "ansible/roles/service_backups/files/packhorse_copies.py"
START = "import sys, runpy, pathlib; m = runpy.run_path(sys.argv[1]); "
START += "m['main'].__globals__.update(ROOT=pathlib.Path(sys.argv[2])); m['os'].geteuid = lambda: 1; "
START += "sys.exit(m['main'](sys.argv[3:]))"


def run(root: Path, *arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """The program with another folder, and without another user."""
    command = [sys.executable, "-c", START, str(PROGRAM), str(root), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


def packed(name: str = "20260101T000000Z", data: bytes = b"rows", **changes: object) -> bytes:
    """A backup as it travels."""
    header = {"name": name, "database": "shop_production_db", "size": len(data), "rows": {"t": 1}}
    header |= {"sha256": hashlib.sha256(data).hexdigest(), "kind": "postgresql", "version": "15", **changes}
    return json.dumps(header).encode() + b"\n" + data


def received(root: Path, content: bytes, keep: str = "2") -> "subprocess.CompletedProcess[bytes]":
    return run(root, "receive", "db1", keep, "30", stdin=content)


def test_a_copy_is_kept_for_its_user_alone_and_given_back(tmp_path: Path) -> None:
    """Byte for byte; a second time changes nothing."""
    for _ in range(2):
        assert received(tmp_path, packed()).stdout == b"kept\n"
    (path,) = tmp_path.glob("db1/*/*.dump")
    assert path.stat().st_mode & 0o777 == 0o600
    listed = json.loads(run(tmp_path, "list").stdout)["copies"]
    assert [(each["origin"], each["name"], each["rows"]) for each in listed] == [("db1", path.stem, 1)]
    sent = run(tmp_path, "send", "db1", "shop_production_db", path.stem).stdout
    assert sent == packed()


def test_nothing_replaces_a_copy(tmp_path: Path) -> None:
    """The host that sends may have been taken over since."""
    received(tmp_path, packed())
    done = received(tmp_path, packed(data=b"other"))
    assert (done.returncode, b"which stays" in done.stderr) == (1, True)
    assert [path.read_bytes() for path in tmp_path.glob("db1/*/*.dump")] == [b"rows"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}\n",
        b"[" * 10_000,
        packed()[:-1],
        packed(name="../../../x"),
        packed(database="../x"),
        packed(size=-5),
        packed(size=2**60),
        packed(sha256="0" * 64),
        packed(kind="no kind!"),
        packed(version=15),
        packed(rows={"t": "a"}),
        packed(rows={"t": 2**63}),
        packed(rows=[]),
        packed("29991231T235959Z"),
    ],
)
def test_what_is_no_whole_backup_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    """Cut, of another hash, with a name that leads out or lies in the future, larger than the disk."""
    assert received(tmp_path, content).returncode == 1
    assert not list(tmp_path.rglob("*.dump"))
    assert not list(tmp_path.rglob("*.json"))
    assert not list(tmp_path.rglob(".new-*"))


def test_old_copies_go_when_newer_ones_came_and_days_have_passed(tmp_path: Path) -> None:
    """Rubbish that is pushed all day long does not push them out."""
    for day in range(1, 6):
        received(tmp_path, packed(f"2026010{day}T000000Z"))
    assert len(list(tmp_path.glob("db1/*/*.dump"))) == 5
    for path in tmp_path.glob("db1/*/*.json"):
        os.utime(path, (0, time.time() - 31 * 86400))
    received(tmp_path, packed("20260106T000000Z"))
    assert sorted(path.stem for path in tmp_path.glob("db1/*/*.dump")) == [
        "20260105T000000Z",
        "20260106T000000Z",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("receive", "../db1", "2", "30"),
        ("send", "db1", "../x", "20260101T000000Z"),
        ("send", "db1", "shop_production_db", "x"),
        ("remove", "db1"),
        (),
    ],
)
def test_there_is_no_other_command(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Nor a name that leads elsewhere."""
    assert run(tmp_path, *arguments).returncode == 2


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ+0abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        (f"{KEY} packhorse-backups\n", KEY),
        (f"{KEY} x\nssh-ed25519 {'B' * 68} without-limits\n", KEY),
        (f'command="sh" {KEY} x\n', None),
        (f"x\n{KEY} x\n", None),
        ("ssh-rsa AAAA x\n", None),
    ],
)
def test_of_what_a_host_says_is_its_key_one_form_counts(text: str, taken: str | None) -> None:
    """It may have been taken over: a second line would be a key of its own, for a shell."""
    tasks = (PROGRAM.parents[1] / "tasks/copies.yml").read_text()
    patterns = re.findall(r"regex_search\('(.*)'\)", tasks)
    assert len(patterns) == 2
    for pattern in patterns:
        found = re.search(pattern, text)
        assert (found and found[0]) == taken


def test_a_bad_header_hides_no_copies_of_others(tmp_path: Path) -> None:
    """Each host writes to the list that all projects read: no more than fixed keys of sound copies."""
    received(tmp_path, packed(pad="a" * 1000))
    (path,) = tmp_path.glob("db1/*/*.json")
    bad = json.loads(path.read_bytes()) | {"rows": {"t": "a"}}
    path.with_name("20260102T000000Z.json").write_text(json.dumps(bad))
    (one,) = json.loads(run(tmp_path, "list").stdout)["copies"]
    keys = {"name", "database", "kind", "version", "size", "sha256", "why", "rows", "tables", "origin"}
    assert (one["name"], set(one)) == ("20260101T000000Z", keys)
