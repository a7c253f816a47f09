"""Listen at ports of test hosts, and find out which ports of a host another one reaches."""

import json
from collections.abc import Collection

from tests.support.hosts.host import ENVIRONMENT, Host
from tests.support.servers import run_command, wait_until

# Where something listens already, nothing is to be done.
_LISTEN = """
import contextlib, signal, socket, sys
kept = []
for port in map(int, sys.argv[1:]):
    with contextlib.suppress(OSError):
        kept.append(socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True))
kept.append(socket.create_server(("127.0.0.1", 1)))  # the last one
signal.pause()
"""
_PROBE = """
import concurrent.futures, json, socket, sys
pairs, silent = map(json.loads, sys.argv[1:])
def is_open(pair):
    try:
        socket.create_connection(pair, timeout=5).close()
    except ConnectionRefusedError:  # at once, as if nothing listened
        return False
    except TimeoutError:
        if pair[1] in silent:
            return False
        raise
    return True
with concurrent.futures.ThreadPoolExecutor(len(pairs)) as pool:
    print(json.dumps([pair for pair, found in zip(pairs, pool.map(is_open, pairs)) if found]))
"""


def listen(host: Host, ports: Collection[int]) -> None:
    """Let something listen at each of the `ports`, until the host is switched off."""
    numbers = map(str, sorted(ports))
    host.ssh(*("systemd-run", "--quiet", "--collect", "--unit=listeners", "python3", "-c", _LISTEN), *numbers)
    wait_until("listeners", lambda: "127.0.0.1:1 " in host.ssh("ss", "-Hltn").stdout)


def open_to(
    client: Host | None, addresses: Collection[str], ports: Collection[int], silent: Collection[int] = ()
) -> list[set[int]]:
    """The `ports` that `client` (None: this machine) reaches at each of the addresses.

    The others have to refuse connections, except for those that may be `silent`.
    """
    pairs = [(address, port) for address in addresses for port in sorted(ports)]
    command = ("python3", "-c", _PROBE, json.dumps(pairs), json.dumps(list(silent)))
    said = client.ssh(*command) if client else run_command(*command, env=ENVIRONMENT)
    found = json.loads(said.stdout)
    return [{port for there, port in found if there == address} for address in addresses]
