#!/usr/bin/python3 -I
"""Load the firewall of a host (nftables, table `inet packhorse`), and go back unless a new login confirms it.

Each project of the host has a file of what it needs, PROJECT.json. `rules.nft` is made of all of them, and is
what a boot loads. No other table is touched. Commands, all as root; `-` stands for JSON on standard input:

    examine PROJECT -          refuse what must not be tried: another firewall manager, ssh shut out
    try PROJECT SECONDS -      load the rules with this file of the project (null: without it) for so long
    confirm                    keep them: over an ssh connection that these rules have let in
    return                     go back to what was confirmed last (a timer does it)
    show                       print as JSON what is loaded
"""

import contextlib
import fcntl
import ipaddress
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

STATE = Path("/etc/packhorse/firewall")
RUN = Path("/run/packhorse-firewall")
RULES = "rules.nft"
TABLE = ("inet", "packhorse")
TIMER = "packhorse-firewall-return"
OTHER_MANAGERS = ("firewalld", "ferm", "shorewall", "shorewall6")
SECONDS_TO_WAIT = 700  # for another trial: longer than any may take

PROJECT = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
PORT = re.compile(r"([1-9][0-9]{0,4})(-([1-9][0-9]{0,4}))?")
WHY = re.compile(r"[A-Za-z0-9 _.,:/()-]{1,100}")

# RFC 4890, 4.4: what a host must let in, and what it should. Of neighbours, the kernel takes what comes with
# a hop limit of 255 (RFC 4861); 148 and on are certificates and routers of the same link.
# What begins no connection goes on to the kernel, which resets what it does not know: connections from before
# the first load are unknown to conntrack, and have to live on.
HEAD = """\
    iif "lo" accept
    icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept
    icmpv6 type { echo-request, echo-reply } accept
    icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept
    icmpv6 type { ind-neighbor-solicit, ind-neighbor-advert } accept
    ip6 saddr fe80::/10 icmpv6 type { mld-listener-query, mld-listener-report } accept
    ip6 saddr fe80::/10 icmpv6 type { mld-listener-done, mld2-listener-report } accept
    ip6 saddr fe80::/10 icmpv6 type { 148, 149, 151, 152, 153 } accept
    icmp type { destination-unreachable, time-exceeded, parameter-problem, echo-request } accept
    ct state vmap { established : accept, related : accept, invalid : drop }
    tcp flags & (syn | ack) != syn accept comment "begins no connection"
    udp sport 67 udp dport 68 accept comment "DHCP"
    ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept comment "DHCPv6"
"""
# A closed port answers as one on which nothing listens.
TAIL = """\
    meta l4proto tcp reject with tcp reset
    reject
"""

Fragment = dict[str, Any]


class RefusedError(Exception):
    """Error with two lines: what happened, and what to do now."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"Error: {message}\nHint: {hint}")


def checked(fragment: Any) -> Fragment:  # noqa: ANN401  # as JSON has it
    """`fragment`, if each value has its strict form: it becomes text of nftables. Raises ValueError."""
    if not isinstance(fragment, dict) or set(fragment) != {"ssh_from", "allow"}:
        raise ValueError("needs ssh_from and allow, and nothing else")
    networks(fragment["ssh_from"])
    for rule in fragment["allow"]:
        if set(rule) != {"protocol", "port", "from", "why"} or rule["protocol"] not in {"tcp", "udp"}:
            raise ValueError(f"{rule} is no rule")
        found = PORT.fullmatch(rule["port"])
        if not found or int(found[3] or found[1]) > 65535 or int(found[1]) > int(found[3] or found[1]):
            raise ValueError(f"{rule['port']} is no port")
        if not WHY.fullmatch(rule["why"]):
            raise ValueError(f"{rule['why']!r} is no reason of letters and digits")
        networks(rule["from"])
    return fragment


def networks(texts: Sequence[str]) -> "list[ipaddress.IPv4Network | ipaddress.IPv6Network]":
    """The networks in `texts`, without those that others contain. Raises ValueError."""
    every = [ipaddress.ip_network(text) for text in texts]
    if any("%" in text for text in texts):
        raise ValueError("an address with a zone is no network")
    found: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
    found += ipaddress.collapse_addresses(each for each in every if isinstance(each, ipaddress.IPv4Network))
    found += ipaddress.collapse_addresses(each for each in every if isinstance(each, ipaddress.IPv6Network))
    return found


def ssh_from(fragments: Mapping[str, Fragment]) -> "list[str]":
    """The networks that may use ssh, for all projects together; none: everybody."""
    wanted = [fragment["ssh_from"] for fragment in fragments.values()]
    return [text for texts in wanted for text in texts] if all(wanted) else []


def matches(sources: Sequence[str]) -> "Iterator[str]":
    """The beginnings of the rules for packets from the networks `sources`; none: from everywhere."""
    if not sources:
        yield ""
    for family, version in (("ip", 4), ("ip6", 6)):
        of_family = [str(each) for each in networks(sources) if each.version == version]
        if of_family:
            yield f"{family} saddr {{ {', '.join(of_family)} }} "


def render(fragments: Mapping[str, Fragment], ssh_ports: Sequence[int]) -> str:
    """The text for `nft --file` that replaces our table; without fragments it is removed."""
    replaced = "# Made by packhorse-firewall of the *.json here: `release provision` changes them.\n"
    replaced += "table inet packhorse\ndelete table inet packhorse\n"
    if not fragments:
        return replaced
    ports = ", ".join(map(str, ssh_ports))
    ssh = "".join(
        f"    {source}tcp dport {{ {ports} }} goto ssh\n" for source in matches(ssh_from(fragments))
    )
    jumps = "".join(f"    jump project_{project}\n" for project in sorted(fragments))
    chains = "".join(_chain(project, fragments[project]) for project in sorted(fragments))
    return (
        f"{replaced}\ntable inet packhorse {{\n"
        # Which new ssh connections these rules have let in: only one of them confirms the rules.
        "  set ssh_ipv4 {\n    type ipv4_addr . inet_service\n    flags dynamic, timeout\n"
        "    timeout 10m\n    size 65536\n  }\n"
        "  set ssh_ipv6 {\n    type ipv6_addr . inet_service\n    flags dynamic, timeout\n"
        "    timeout 10m\n    size 65536\n  }\n"
        "  chain ssh {\n    update @ssh_ipv4 { ip saddr . tcp sport }\n"
        "    update @ssh_ipv6 { ip6 saddr . tcp sport }\n    accept\n  }\n"
        f"{chains}  chain input {{\n    type filter hook input priority filter; policy drop;\n"
        f"{HEAD}{ssh}{jumps}{TAIL}  }}\n}}\n"
    )


def _chain(project: str, fragment: Fragment) -> str:
    rules = [
        f'    {source}{rule["protocol"]} dport {rule["port"]} accept comment "{rule["why"]}"\n'
        for rule in fragment["allow"]
        for source in matches(rule["from"])
    ]
    return f"  chain project_{project} {{\n{''.join(rules)}  }}\n"


def shut_out(
    fragments: Mapping[str, Fragment], ssh_ports: Sequence[int], connection: "tuple[str, int, int] | None"
) -> "RefusedError | None":
    """An error if these rules would shut `connection` (address, its port, our port) out; None if not."""
    if not fragments or connection is None:
        return None
    address, port = ipaddress.ip_address(connection[0]), connection[2]
    if address.is_loopback:
        return None
    if port not in ssh_ports:
        return RefusedError(
            f"You came in at port {port}, and sshd has {', '.join(map(str, ssh_ports)) or 'none'}.",
            "Log in through sshd: nothing would let you in again.",
        )
    allowed = networks(ssh_from(fragments))
    if allowed and not any(address in network for network in allowed if network.version == address.version):
        return RefusedError(
            f"You came in from {address}, which ssh_from leaves out: nothing would let you in again.",
            f'Add it to [firewall] in release.toml: ssh_from = ["{address}", …]',
        )
    return None


def run(*command: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    """Run `command`; a program that is not there ends with 127."""
    try:
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, errors="replace", check=False, timeout=60
        )
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))


def listening_for_ssh(proc: Path = Path("/proc")) -> "list[int]":
    """The ports on which sshd listens, or will after its next start."""
    test = run("sshd", "-T", "-C", "user=root,host=localhost,addr=127.0.0.1").stdout
    found = re.findall(r"^port (\d+)$|^listenaddress .*:(\d+)$", test, re.MULTILINE)
    units = run("systemctl", "show", "--property=Listen", "ssh.socket", "sshd.socket").stdout
    found += re.findall(r"^Listen=(?:\S*:)?(\d+) \(Stream\)()$", units, re.MULTILINE)
    ports = {int(text) for pair in found for text in pair if text}
    sockets = set(_sockets_of_sshd(proc))
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                _, local, _, state, _, _, _, _, _, inode = line.split()[:10]  # proc_pid_net(5)
                if state == "0A" and f"socket:[{inode}]" in sockets:
                    ports.add(int(local.rpartition(":")[2], 16))
    return sorted(ports)


def _sockets_of_sshd(proc: Path) -> "Iterator[str]":
    """The sockets of the sshd that is root's: any user can give a process this name and this title.

    Sessions of sshd, which have another title, listen too, at what their users forward.
    """
    for process in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            users = re.search(r"^Uid:(.*)$", (process / "status").read_text(), re.MULTILINE)
            program = str((process / "exe").readlink()).removesuffix(" (deleted)")  # by an update
            if not users or set(users[1].split()) != {"0"} or Path(program).name != "sshd":
                continue
            if b"[listener]" in (process / "cmdline").read_bytes():
                yield from (str(descriptor.readlink()) for descriptor in (process / "fd").iterdir())


def connection() -> "tuple[str, int, int] | None":
    """The ssh connection above this process, which sudo hides: the client's address and port, and ours."""
    process = os.getpid()
    while process > 1:
        with contextlib.suppress(OSError):
            environment = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
            for variable in environment:
                if variable.startswith(b"SSH_CONNECTION="):
                    address, port, _, own = variable.decode().partition("=")[2].split()
                    return address.partition("%")[0], int(port), int(own)
        # The fields of proc(5) after the name in brackets, which may hold anything.
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return None


def other_manager() -> "RefusedError | None":
    """Names of other programs that manage the firewall here."""
    name = ""
    with contextlib.suppress(OSError):
        if re.search(r"^ENABLED=yes", Path("/etc/ufw/ufw.conf").read_text(), re.MULTILINE | re.IGNORECASE):
            name = "ufw"
    for unit in OTHER_MANAGERS:
        if "active" in run("systemctl", "is-active", unit).stdout.split():
            name = unit
    if not name:
        return None
    return RefusedError(
        f"{name} manages the firewall of this host: two would shut out what the other lets in.",
        f'Switch {name} off, or leave this host out in release.toml: [firewall] skip = ["…"]',
    )


def kept() -> "dict[str, Fragment]":
    """The fragments that were confirmed."""
    return {path.stem: checked(json.loads(path.read_text())) for path in sorted(STATE.glob("*.json"))}


def confirmed_rules() -> str:
    """The rules that were confirmed last."""
    path = STATE / RULES
    return path.read_text() if path.exists() else render({}, [])


def with_fragment(project: str, fragment: "Fragment | None") -> "dict[str, Fragment]":
    """All fragments of this host, with this one of `project`."""
    others = {name: each for name, each in kept().items() if name != project}
    return {**others, **({project: fragment} if fragment is not None else {})}


def examine(project: str, fragment: "Fragment | None") -> "tuple[dict[str, Fragment], list[int]]":
    """All fragments and the ports of ssh. Raises RefusedError."""
    fragments, ports = with_fragment(project, fragment), listening_for_ssh()
    refused = (other_manager() if fragment is not None else None) or shut_out(fragments, ports, connection())
    if not refused and fragments and not ports:
        refused = RefusedError("No port of sshd was found on this host.", "Start sshd, and look at: sshd -T")
    if refused:
        raise refused
    return fragments, ports


def load(text: str, *options: str) -> None:
    """Let nft load `text`, all or nothing. Raises RefusedError."""
    done = run("nft", *options, "--file", "-", stdin=text)
    if done.returncode:
        raise RefusedError(
            f"nft does not take the rules: {' '.join(done.stderr.split())}",
            "Nothing was changed. Look at: nft --version, and whether the kernel has nf_tables",
        )


def loaded() -> "list[Any]":
    """Our table as nft has it, without what changes by itself: counters, handles, elements of sets."""
    done = run("nft", "--json", "--stateless", "list", "table", *TABLE)
    items = json.loads(done.stdout or "{}").get("nftables", []) if done.returncode == 0 else []
    return [
        {kind: {key: part for key, part in value.items() if key not in {"handle", "elem"}}}
        for item in items
        for kind, value in item.items()
        if kind != "metainfo"
    ]


def write(path: Path, text: str) -> None:
    """Replace `path` in one step, also for a power cut."""
    scratch = path.with_suffix(".new")
    with scratch.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


@contextlib.contextmanager
def locked() -> "Iterator[Path]":
    """Nobody else changes anything meanwhile; the file of the trial, if there is one that will end."""
    RUN.mkdir(mode=0o700, exist_ok=True)
    STATE.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (RUN / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        trial = RUN / "trial.json"
        units = run("systemctl", "is-active", f"{TIMER}.timer", f"{TIMER}.service").stdout.split()
        if trial.exists() and not {"active", "activating"} & set(units):  # who began it was killed
            load(confirmed_rules())
            trial.unlink()
        yield trial


def attempt(project: str, seconds: int, fragment: "Fragment | None") -> str:
    """Load the rules for `seconds`: "on trial", or "unchanged" if nothing is new. Raises RefusedError."""
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while True:
        with locked() as trial:
            if not trial.exists():
                return _begin(trial, project, seconds, fragment)
        if time.monotonic() > deadline:
            raise RefusedError("Other rules are on trial on this host, and do not end.", f"Look at: {RUN}")
        time.sleep(0.5)


def _begin(trial: Path, project: str, seconds: int, fragment: "Fragment | None") -> str:
    fragments, ports = examine(project, fragment)
    text, before = render(fragments, ports), loaded()
    load(text, "--check")
    plan = {"project": project, "fragment": fragment, "rules": text, "by_ssh": connection() is not None}
    trial.write_text(json.dumps(plan))
    disarm()
    # Of systemd's, so that it also runs when everything that deploys has died.
    arm = ("systemd-run", "--quiet", "--collect", f"--unit={TIMER}", "--timer-property=AccuracySec=100ms")
    done = run(*arm, f"--on-active={seconds}s", sys.argv[0], "return")
    if done.returncode:
        trial.unlink()
        raise RefusedError(
            f"systemd-run fails: {done.stderr.strip()}", "Nothing was changed. Look at: journalctl"
        )
    try:
        load(text)
    except RefusedError:
        trial.unlink()
        disarm()
        raise
    if text == confirmed_rules() and loaded() == before and kept().get(project) == fragment:
        trial.unlink()
        disarm()
        return "unchanged"
    return "on trial"


def disarm() -> None:
    """Stop the timer that goes back."""
    run("systemctl", "stop", f"{TIMER}.timer")


def confirm() -> str:
    """Keep the rules that are on trial. Raises RefusedError when they have not let in this connection."""
    with locked() as trial:
        if not trial.exists():
            raise RefusedError(
                "The new rules were taken back: nobody came in within the time.",
                "See whether a firewall before this host is in the way, and run the command again.",
            )
        wanted = json.loads(trial.read_text())
        client = connection()
        if (client is None and wanted["by_ssh"]) or not let_in(client):
            raise RefusedError(
                "This connection was there before the new rules, and does not show that they let you in.",
                "End what keeps connections open (ssh -O exit HOST), and run the command again.",
            )
        _keep(wanted["project"], wanted["fragment"], wanted["rules"])
        trial.unlink()
        disarm()
    return "confirmed"


def let_in(client: "tuple[str, int, int] | None") -> bool:
    """Whether the rules that are loaded have let in this connection; one without a network needs no rules."""
    if client is None or not loaded():
        return True
    address = ipaddress.ip_address(client[0])
    element = f"ssh_ipv{address.version}", f"{{ {address} . {client[1]} }}"
    return address.is_loopback or run("nft", "get", "element", *TABLE, *element).returncode == 0


def _keep(project: str, fragment: "Fragment | None", rules: str) -> None:
    place = STATE / f"{project}.json"
    if fragment is None:
        place.unlink(missing_ok=True)
    else:
        write(place, text_of(fragment))
    if kept():
        write(STATE / RULES, rules)
    else:
        (STATE / RULES).unlink(missing_ok=True)


def text_of(fragment: Fragment) -> str:
    """The text of PROJECT.json."""
    return f"{json.dumps(fragment, indent=4, sort_keys=True)}\n"


def go_back() -> str:
    """Load what was confirmed last, unless the rules of the trial were confirmed meanwhile."""
    with locked() as trial:
        if not trial.exists():
            return "nothing is on trial"
        load(confirmed_rules())
        trial.unlink()
    return "returned"


def show() -> str:
    """Print the loaded rules as JSON."""
    chains = json.loads(run("nft", "--json", "list", "chains").stdout or "{}").get("nftables", [])
    every = [item["chain"] for item in chains if "chain" in item]
    others = [
        f"{chain['family']} {chain['table']}"
        for chain in every
        if chain.get("hook") == "input" and chain.get("policy") == "drop"
    ]
    fragments = kept()
    return json.dumps(
        {
            "loaded": "inet packhorse" in others,
            "on_trial": (RUN / "trial.json").exists(),
            "ssh_ports": listening_for_ssh(),
            "ssh_from": [str(each) for each in networks(ssh_from(fragments))],
            "projects": fragments,
            "others": sorted(set(others) - {"inet packhorse"}),
        }
    )


def main(command: str, *arguments: str) -> str:
    """Run one of the commands above, and return what it prints."""
    if command in {"examine", "try"}:
        project, content = arguments[0], json.load(sys.stdin)
        if not PROJECT.fullmatch(project):
            raise ValueError(f"{project} is no name of a project")
        fragment = None if content is None else checked(content)
        if command == "try":
            return attempt(project, int(arguments[1]), fragment)
        examine(project, fragment)
        return "allowed"
    return {"confirm": confirm, "return": go_back, "show": show}[command]()


if __name__ == "__main__":
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    os.environ["LC_ALL"] = "C.UTF-8"
    os.umask(0o022)
    try:
        sys.stdout.write(f"{main(*sys.argv[1:])}\n")
    except RefusedError as refused:
        sys.exit(str(refused))
    except OSError as error:
        sys.exit(f"Error: packhorse-firewall: {error}\nHint: Correct that, and run the command again.")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        sys.exit(f"Error: packhorse-firewall: {error}\nHint: It is called by `release provision`.")
