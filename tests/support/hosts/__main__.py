"""Start test hosts by hand: `python -m tests.support.hosts web1 web2` keeps them up until Ctrl-C."""

import contextlib
import signal
import sys

from tests.support.hosts.network import network


def main(names: list[str]) -> None:
    """Start the hosts `names`, print how to reach them, and wait."""
    with network() as net:
        for host in net.hosts(*names):
            print(f"{net.bin}/ssh root@{host.name}    {host.address}, its disk: {host.files}")  # noqa: T201
        print(f"They see this machine as outside, {net.address}. Ctrl-C removes them.", flush=True)  # noqa: T201
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:] or ["web1"])
