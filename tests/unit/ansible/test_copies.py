"""What packhorse-copies lets other hosts do: add, and nothing else."""

import fcntl
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
START = "import sys, json, runpy, pathlib; m = runpy.run_path(sys.argv[1]); "
START += "m['main'].__globals__.update(json.loads(sys.argv[3]), ROOT=pathlib.Path(sys.argv[2])); "
START += "m['os'].geteuid = lambda: 1; sys.exit(m['main'](sys.argv[4:]))"
ORIGIN = "shop_db@db1"


def run(
    root: Path,
    *arguments: str,
    stdin: bytes = b"",
    limits: dict[str, int] | None = None,
    timeout: float | None = None,
) -> "subprocess.CompletedProcess[bytes]":
    """The program with another folder and other `limits`, and without another user."""
    command = [sys.executable, "-c", START, str(PROGRAM), str(root), json.dumps(limits or {}), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=timeout)


def packed(name: str = "20260101T000000Z", data: bytes = b"rows", **changes: object) -> bytes:
    """A backup as it travels."""
    header = {"name": name, "database": "shop_production_db", "size": len(data), "rows": {"t": 1}}
    header |= {"sha256": hashlib.sha256(data).hexdigest(), "kind": "postgresql", "version": "15", **changes}
    return json.dumps(header).encode() + b"\n" + data


def received(
    root: Path, content: bytes, origin: str = ORIGIN, limits: dict[str, int] | None = None
) -> "subprocess.CompletedProcess[bytes]":
    return run(root, "receive", origin, "2", "30", stdin=content, limits=limits)


def test_a_copy_is_kept_for_its_user_alone_and_given_back(tmp_path: Path) -> None:
    """Byte for byte; a second time changes nothing."""
    for _ in range(2):
        assert received(tmp_path, packed()).stdout == b"kept\n"
    (path,) = tmp_path.glob("*/*/*.dump")
    assert path.stat().st_mode & 0o777 == 0o600
    listed = json.loads(run(tmp_path, "list").stdout)["copies"]
    assert [(each["origin"], each["name"], each["rows"]) for each in listed] == [(ORIGIN, path.stem, 1)]
    sent = run(tmp_path, "send", ORIGIN, "shop_production_db", path.stem).stdout
    assert json.loads(sent.splitlines()[0]) == json.loads(packed().splitlines()[0])
    assert sent.endswith(b"\nrows")


def test_nothing_replaces_a_copy(tmp_path: Path) -> None:
    """The host that sends may have been taken over since."""
    received(tmp_path, packed())
    done = received(tmp_path, packed(data=b"other"))
    assert (done.returncode, b"which stays" in done.stderr) == (1, True)
    assert [path.read_bytes() for path in tmp_path.glob("*/*/*.dump")] == [b"rows"]


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
        packed(facts={"encoding": [1]}),
        packed("29991231T235959Z"),
        packed("20250230T000000Z"),
        packed("20250101T256199Z"),
    ],
)
def test_what_is_no_whole_backup_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    """Cut, of another hash, with a name that leads out, a time to come or of no calendar, too large."""
    assert received(tmp_path, content).returncode == 1
    assert not list(tmp_path.glob("*/*"))
    assert not list(tmp_path.rglob("*.dump"))
    assert not list(tmp_path.rglob("*.json"))
    assert not list(tmp_path.rglob(".new-*"))


def test_old_copies_go_when_newer_ones_came_and_days_have_passed(tmp_path: Path) -> None:
    """Rubbish that is pushed all day long does not push them out."""
    for day in range(1, 6):
        received(tmp_path, packed(f"2026010{day}T000000Z"))
    assert len(list(tmp_path.glob("*/*/*.dump"))) == 5
    for path in tmp_path.glob("*/*/*.json"):
        os.utime(path, (0, time.time() - 31 * 86400))
    received(tmp_path, packed("20260106T000000Z"))
    assert sorted(path.stem for path in tmp_path.glob("*/*/*.dump")) == [
        "20260105T000000Z",
        "20260106T000000Z",
    ]


@pytest.mark.parametrize(
    "database", ["shop_production_cache", "other_production_db", "shop_db", "shop_a_b_db"]
)
def test_a_key_brings_no_copies_of_others_databases(tmp_path: Path, database: str) -> None:
    """Of another project or service on the same host of copies, for which it would be the newest one."""
    done = received(tmp_path, packed(database=database))
    assert (done.returncode, f"{database} is no database of {ORIGIN}" in done.stderr.decode()) == (1, True)
    assert not list(tmp_path.rglob("*.dump"))


def test_hosts_of_equal_names_and_projects_have_folders_of_their_own(tmp_path: Path) -> None:
    """A list names who brought each copy, and one for a database has no copies of others."""
    for origin in (ORIGIN, "shop_db@db2", "other_db@db1"):
        app = origin.partition("_")[0]
        assert received(tmp_path, packed(database=f"{app}_production_db"), origin).returncode == 0
    listed = json.loads(run(tmp_path, "list", "shop_production_db").stdout)["copies"]
    assert [each["origin"] for each in listed] == [ORIGIN, "shop_db@db2"]
    assert len(json.loads(run(tmp_path, "list").stdout)["copies"]) == 3


def earlier(root: Path, database: str = "shop_production_db") -> Path:
    """A copy that an earlier version has kept, below the name of the host alone."""
    assert received(root, packed("20251231T000000Z")).returncode == 0
    (root / "db1").mkdir(exist_ok=True)
    return (root / ORIGIN / "shop_production_db").rename(root / "db1" / database)


def test_copies_of_earlier_versions_are_listed_and_sent(tmp_path: Path) -> None:
    """Their host may be lost already."""
    folder = earlier(tmp_path)
    (one,) = json.loads(run(tmp_path, "list", folder.name).stdout)["copies"]
    assert one["origin"] == "db1"
    assert run(tmp_path, "send", "db1", folder.name, one["name"]).stdout.endswith(b"\nrows")


def test_the_first_new_copy_takes_those_of_earlier_versions_over(tmp_path: Path) -> None:
    """With their age: they go when days have passed. Those of other databases stay where they are."""
    others = earlier(tmp_path, "other_production_db")
    earlier(tmp_path)
    assert received(tmp_path, packed()).stdout == b"kept\n"
    listed = json.loads(run(tmp_path, "list", "shop_production_db").stdout)["copies"]
    assert [(each["origin"], each["name"]) for each in listed] == [
        (ORIGIN, "20251231T000000Z"),
        (ORIGIN, "20260101T000000Z"),
    ]
    assert others.exists()


def test_keys_of_earlier_versions_bring_nothing(tmp_path: Path) -> None:
    """They were for all databases of all projects."""
    done = run(tmp_path, "receive", "db1", "7", "30", stdin=packed())
    assert (done.returncode, b"release provision" in done.stderr) == (1, True)
    assert not list(tmp_path.rglob("*.dump"))


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"MOST_COPIES": 1}, "has 1 copies here, and may have no more"),
        ({"HOST_PART": 10**15}, "copies of this host would take more than 1/"),
        ({"FREE_PART": 1}, "of the disk free"),
    ],
)
def test_one_host_does_not_fill_the_disk_of_all(tmp_path: Path, limits: dict[str, int], reason: str) -> None:
    """Who took it over has all its keys: its copies of all projects count together."""
    others = received(tmp_path, packed(database="other_production_db"), "other_db@db1")
    assert others.returncode == received(tmp_path, packed()).returncode == 0
    done = received(tmp_path, packed("20260102T000000Z"), limits=limits)
    assert (done.returncode, reason in done.stderr.decode()) == (1, True)
    assert received(tmp_path, packed(), limits=limits).stdout == b"kept\n"  # it is there


def test_refused_copies_leave_no_folders(tmp_path: Path) -> None:
    """Each upload may name another target, and so another folder; the files of a disk are numbered."""
    assert received(tmp_path, packed()).stdout == b"kept\n"
    for limits in ({"MOST_COPIES": 0}, {"HOST_PART": 10**15}, {"FREE_PART": 1}, {}):
        assert received(tmp_path, packed(database="shop_x_db")[:-1], limits=limits).returncode == 1
        assert received(tmp_path, packed("20260102T000000Z")[:-1], limits=limits).returncode == 1
    assert [path.name for path in (tmp_path / ORIGIN).iterdir()] == ["shop_production_db"]


def test_uploads_of_one_host_take_turns(tmp_path: Path) -> None:
    """Two of its services would each count the half of the disk as theirs."""
    with (tmp_path / ".lock-db1").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(subprocess.TimeoutExpired):
            run(tmp_path, "receive", ORIGIN, "2", "30", stdin=packed(), timeout=2)
        assert received(tmp_path, packed(), "shop_db@db2").stdout == b"kept\n"
    assert [path.name for path in tmp_path.glob("*@*")] == ["shop_db@db2"]


def test_of_a_header_what_a_backup_has_is_kept(tmp_path: Path) -> None:
    """Not what else a host would like to store."""
    received(tmp_path, packed(facts={"encoding": "UTF8"}, more={"a": [1]}))
    (path,) = tmp_path.glob("*/*/*.json")
    kept = json.loads(path.read_bytes())
    assert (kept["facts"], "more" in kept) == ({"encoding": "UTF8"}, False)


@pytest.mark.parametrize(
    "arguments",
    [
        ("send", "../db1", "shop_production_db", "20260101T000000Z"),
        ("list", "../*"),
        ("send", ORIGIN, "../x", "20260101T000000Z"),
        ("send", ORIGIN, "shop_production_db", "x"),
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
    (path,) = tmp_path.glob("*/*/*.json")
    bad = json.loads(path.read_bytes()) | {"rows": {"t": "a"}}
    path.with_name("20260102T000000Z.json").write_text(json.dumps(bad))
    (one,) = json.loads(run(tmp_path, "list").stdout)["copies"]
    keys = {"name", "database", "kind", "version", "size", "sha256", "why", "rows", "tables", "origin"}
    assert (one["name"], set(one)) == ("20260101T000000Z", keys)
