"""What packhorse-firewall lets in, what it refuses, and which text nftables gets of it."""

import importlib.util
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[3] / "ansible/roles/firewall/files/packhorse_firewall.py"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("packhorse_firewall", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rule(
    port: str = "80", *, why: str = "HTTP", protocol: str = "tcp", sources: Sequence[str] = ()
) -> dict[str, Any]:
    return {"protocol": protocol, "port": port, "from": list(sources), "why": why}


def fragment(*rules: dict[str, Any], ssh_from: list[str] | None = None) -> dict[str, Any]:
    return {"ssh_from": ssh_from or [], "allow": list(rules)}


def test_rules_of_all_projects_become_one_table_that_replaces_itself(program: ModuleType) -> None:
    """One transaction of nft: no packet meets half of it. Other tables are not named."""
    text = program.render({"shop": fragment(rule()), "blog": fragment(rule("8000-8010"))}, [22, 2222])
    head, _, body = text.partition("\ntable inet packhorse {\n")
    assert head.splitlines()[1:] == ["table inet packhorse", "delete table inet packhorse"]
    assert '  chain project_shop {\n    tcp dport 80 accept comment "HTTP"\n  }' in body
    assert '  chain project_blog {\n    tcp dport 8000-8010 accept comment "HTTP"\n  }' in body
    assert "    tcp dport { 22, 2222 } goto ssh\n    jump project_blog\n    jump project_shop\n" in body
    assert "flush" not in text


def test_without_projects_only_our_table_goes(program: ModuleType) -> None:
    """The administrator's own, docker's and fail2ban's stay."""
    lines = program.render({}, [22]).splitlines()
    assert lines[1:] == ["table inet packhorse", "delete table inet packhorse"]


def test_networks_of_both_families_get_a_rule_each(program: ModuleType) -> None:
    """An address of one family never matches packets of the other; overlaps are an error of nft's."""
    sources = ["10.0.0.0/8", "10.1.0.0/16", "fd00::/64", "192.0.2.7"]
    assert list(program.matches(sources)) == [
        "ip saddr { 10.0.0.0/8, 192.0.2.7/32 } ",
        "ip6 saddr { fd00::/64 } ",
    ]
    assert list(program.matches([])) == [""]


def test_ssh_is_open_to_all_networks_that_some_project_names(program: ModuleType) -> None:
    """No project locks out another one's deployers; one that restricts nothing opens it to everybody."""
    office, home = fragment(ssh_from=["192.0.2.0/24"]), fragment(ssh_from=["2001:db8::/32"])
    assert program.ssh_from({"shop": office, "blog": home}) == ["192.0.2.0/24", "2001:db8::/32"]
    assert program.ssh_from({"shop": office, "blog": fragment()}) == []


@pytest.mark.parametrize(
    ("client", "said"),
    [
        (("192.0.2.7", 5000, 22), None),
        (("198.51.100.7", 5000, 22), "You came in from 198.51.100.7, which ssh_from leaves out"),
        (("2001:db8::7", 5000, 22), "You came in from 2001:db8::7, which ssh_from leaves out"),
        (("192.0.2.7", 5000, 2200), "You came in at port 2200, and sshd has 22."),
        (("127.0.0.1", 5000, 2200), None),  # through a tunnel that ends on the host
        (None, None),  # the console
    ],
)
def test_rules_that_shut_out_who_loads_them_are_refused(
    program: ModuleType, client: tuple[str, int, int] | None, said: str | None
) -> None:
    """Before they are loaded: the port and the address of this connection are known."""
    refused = program.shut_out({"shop": fragment(ssh_from=["192.0.2.0/24"])}, [22], client)
    assert refused is None if said is None else said in str(refused)
    if refused:
        assert [line.partition(":")[0] for line in str(refused).splitlines()] == ["Error", "Hint"]


@pytest.mark.parametrize(
    "wrong",
    [
        rule("80 accept; flush ruleset"),
        rule("0"),
        rule("65536"),
        rule("90-80"),
        rule("80\n"),
        rule("٨٠"),
        rule(protocol="tcp } ; flush ruleset"),
        rule(why='x" ; flush ruleset; comment "'),
        rule(why="two\nlines"),
        rule(why=""),
        rule(sources=["10.0.0.0/8 } tcp dport 1-65535 accept #"]),
        rule(sources=["10.0.0.1/8"]),
        rule(sources=["fe80::1%eth0"]),
        rule(sources=["web1"]),
        {**rule(), "jump": "x"},
        {"port": "80"},
    ],
)
def test_nothing_but_ports_networks_and_words_becomes_text_of_nft(
    program: ModuleType, wrong: dict[str, Any]
) -> None:
    """The host checks what it is sent, whatever the sender has checked."""
    with pytest.raises((ValueError, TypeError, KeyError)):
        program.checked(fragment(wrong))


@pytest.mark.parametrize("wrong", ["{}", "[]", '{"ssh_from": ["x"], "allow": []}', '{"allow": []}'])
def test_other_forms_are_refused(program: ModuleType, wrong: str) -> None:
    """A file that somebody has changed by hand is no reason to open everything."""
    with pytest.raises((ValueError, KeyError)):
        program.checked(json.loads(wrong))


LISTENER = "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups\0"


def process(proc: Path, number: int, program: str, title: str, *, user: int = 0) -> None:
    """A process in the folder `proc` that has the socket 100 + `number`."""
    folder = proc / str(number)
    (folder / "fd").mkdir(parents=True)
    (folder / "fd/3").symlink_to(f"socket:[{100 + number}]")
    (folder / "exe").symlink_to(program)
    (folder / "cmdline").write_text(title)
    (folder / "status").write_text(f"Name:\tsshd\nUid:\t{user}\t0\t0\t0\nGid:\t0\t0\t0\t0\n")


def test_only_ports_of_sshd_itself_are_open_for_ssh(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Any user can call a process sshd, and `ssh -R` listens in one. sshd -T knows the port of tomorrow."""
    said = {
        "sshd": "port 2222\nlistenaddress [::]:2222\nlistenaddress 0.0.0.0:2222\nmaxstartups 10:30:100\n",
        "systemctl": "Listen=[::]:2022 (Stream)\n\nListen=/run/x (Stream)\n",
    }
    monkeypatch.setattr(
        program, "run", lambda *command: subprocess.CompletedProcess(command, 0, said[command[0]], "")
    )
    process(tmp_path, 7, "/usr/sbin/sshd (deleted)", LISTENER)
    process(tmp_path, 8, "/usr/sbin/sshd", "sshd: root@notty\0")
    process(tmp_path, 9, "/usr/sbin/sshd", LISTENER, user=1000)
    process(tmp_path, 10, "/usr/bin/python3.11", LISTENER)
    (tmp_path / "net").mkdir()
    row = "0: 00000000:{:04X} 00000000:0000 {} 00000000:00000000 00:00000000 00000000 0 0 {} 1 0\n"
    rows = [row.format(port, "0A", socket) for port, socket in ((22, 107), (8080, 108), (81, 109), (82, 110))]
    connected = row.format(5000, "01", 107)
    (tmp_path / "net/tcp").write_text("  sl  local_address …\n" + "".join(rows) + connected)
    assert program.listening_for_ssh(tmp_path) == [22, 2022, 2222]


@pytest.mark.parametrize(("timer", "left"), [("active", 1), ("inactive", 0)])
def test_a_trial_that_nothing_would_end_is_taken_back(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, timer: str, left: int
) -> None:
    """A command that was killed before it set the timer: others would wait for its end for ever."""
    monkeypatch.setattr(program, "RUN", tmp_path)
    monkeypatch.setattr(program, "STATE", tmp_path / "state")
    loaded: list[str] = []
    monkeypatch.setattr(program, "load", loaded.append)
    monkeypatch.setattr(
        program, "run", lambda *command: subprocess.CompletedProcess(command, 3, f"{timer}\ninactive\n", "")
    )
    (tmp_path / "trial.json").write_text('{"proj')
    with program.locked() as trial:
        assert trial.exists() == bool(left)
    assert loaded == ([] if left else [program.render({}, [])])


@pytest.mark.needs_root
@pytest.mark.needs("nft")
def test_nft_takes_the_text(program: ModuleType) -> None:
    """The longest names and reasons, ranges, both families, many projects."""
    long = fragment(
        rule("60000-61000", protocol="udp", why="a" * 100, sources=["10.0.0.0/8", "fd00::/64"]),
        ssh_from=["192.0.2.0/24", "2001:db8::/32"],
    )
    text = program.render({"9" * 40: long, "a-b": long, "in": long, "accept": long}, [22])
    done = subprocess.run(
        ["/usr/bin/unshare", "--net", "/usr/sbin/nft", "--check", "--file", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
