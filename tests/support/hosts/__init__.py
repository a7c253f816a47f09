"""Test hosts: real Debian systems with systemd and sshd, each at an address of its own.

    pytestmark = hosts.MARKS  # left out, with the reason, where nobody is root

    with hosts.network() as net:
        web1, web2 = net.hosts("web1", "web2")         # they answer ssh: two seconds
        web1.ssh("systemctl", "is-active", "ssh")      # as root, or user="shop"
        (web1.files / "etc/motd").write_text("hello")  # its disk, seen from here
        web1.power_cut()                               # every process dies at once, the disk stays
        web1.boot()
        web1.unplug()                                  # the cable: silence, no reset; plug_in()
        run_command(BIN / "release", "deploy", "production", env=net.environment(home))

`net.bin` has an `ssh` that knows the hosts' names and keys and the key that opens them (root's; the line
`net.public_key` lets other users in). Hosts see each other by name, and this machine as "outside": what
listens on `net.address` they reach, and nothing else. They run in systemd-nspawn over one Debian that is made
once per machine (base_image.py). What a killed test leaves behind, the next one removes.

A power cut loses processes, not what they wrote without fsync: the kernel lives on.
"""

import pytest

from tests.support.hosts.host import Host
from tests.support.hosts.network import Network, network

__all__ = ["MARKS", "Host", "Network", "network"]

MARKS = [
    pytest.mark.needs_root,
    pytest.mark.needs("debootstrap", "systemd-nspawn", "ip", "ssh"),
    pytest.mark.timeout(1800),  # the first one makes the Debian, and prepares the servers
]
