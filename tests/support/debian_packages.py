"""Install the Debian packages that the suite needs; without root, say which tests are left out."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """A Debian package, the program in it that tests run, and what it does there."""

    name: str
    program: str
    reason: str


PACKAGES = [
    Package("nginx-light", "nginx", "serves pages and files in front of the mirror, as in production"),
    Package("debootstrap", "debootstrap", "makes the Debian of the test hosts"),
    Package("systemd-container", "systemd-nspawn", "runs the test hosts"),
    Package("iproute2", "ip", "connects the test hosts"),
    Package("openssh-client", "ssh", "reaches the test hosts"),
    Package("pebble", "pebble", "issues the certificates of test hosts"),
    Package("nftables", "nft", "tests the firewall rules of hosts"),
    Package("chromium", "chromium", "shows the pages of the sample application"),
    Package("prometheus", "promtool", "checks the examples of alerts"),
    Package("age", "age", "encrypts the secrets of a project"),
    Package("postgresql", "pg_ctlcluster", "keeps the links of the sample application"),
    Package("mariadb-server-core", "mariadbd", "keeps the links of the sample application"),
    Package("mariadb-client-core", "mariadb", "makes the database of the sample application"),
    Package("redis-server", "redis-server", "keeps the queue of the sample application"),
    Package("wrk", "wrk", "loads the servers of `make bench`"),
    Package("collectd-core", "collectd", "receives the StatsD metrics of the sample application"),
]


def which(program: str) -> str | None:
    """The path of `program`; servers live in sbin, which is not on every user's PATH."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin")


def left_out(packages: Sequence[Package]) -> str:
    """What a person without root should know about missing `packages`."""
    lines = [f"Tests with {package.program} are left out: it {package.reason}." for package in packages]
    names = " ".join(package.name for package in packages)
    return "\n".join([*lines, f"To run them too: sudo apt-get install {names}"])


def apt_commands(packages: Sequence[Package]) -> list[list[str]]:
    """The argument lists that install `packages` without a question and with little output."""
    names = [package.name for package in packages]
    return [
        ["apt-get", "--quiet=2", "update"],
        ["apt-get", "--quiet=2", "--yes", "--no-install-recommends", "install", *names],
    ]


def main(
    packages: Sequence[Package] = PACKAGES,
    *,
    find: Callable[[str], str | None] = which,
    is_root: bool = os.geteuid() == 0,
    call: Callable[[list[str]], object] = subprocess.check_call,
) -> None:
    """Install what misses, or say what is left out; silent when everything is there."""
    missing = [package for package in packages if find(package.program) is None]
    if not missing:
        return
    if not is_root:
        sys.stderr.write(f"{left_out(missing)}\n")
        return
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    for command in apt_commands(missing):
        call(command)


if __name__ == "__main__":
    main()
