"""Make the folder with a bare Debian that every test host starts from, once per machine."""

import fcntl
import hashlib
import json
import os
import shutil
from pathlib import Path

from tests.support.servers import run_command

SUITE = os.environ.get("PACKHORSE_TEST_DEBIAN", "bookworm")  # or "trixie"
PACKAGES = [
    *(
        "systemd",
        "systemd-sysv",
        "dbus",
        "openssh-server",
        "sudo",
        "iproute2",
        "ca-certificates",
        "logrotate",
    ),
    *("python3", "python3-venv", "python3-apt"),
    "nginx-light",
]
# Hosts have no way to Debian's archive: what provisioning installs lies in a folder there.
# A line is what one host may install together.
ARCHIVE = "/usr/share/test-archive"
ARCHIVED = [
    ("postgresql", "mariadb-server", "redis-server"),
    ("lego", "openssl", "nftables", "unattended-upgrades", "systemd-timesyncd"),
    ("prometheus-node-exporter", "munin-node", "mtail", "libwww-perl"),
    ("chrony",),
]
# Nothing of the machine's own may start or change while a test measures.
MASKED = ["apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer"]
MASKED += ["console-getty.service", "getty@.service", "cron.service", "fstrim.timer"]
VERSION = 2  # of _finish
_ENVIRONMENT = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


def base(cache: Path = Path("/var/cache")) -> Path:
    """The folder, made first when it is not there (four minutes); whoever comes meanwhile waits for it."""
    recipe = json.dumps([SUITE, PACKAGES, ARCHIVED, MASKED, VERSION])
    folder = cache / f"packhorse-test-base-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _make(folder, folder.with_suffix(".new"))
    return folder


def _make(folder: Path, scratch: Path) -> None:
    if scratch.exists():
        remove(scratch)
    packages = ",".join(PACKAGES)
    options = ("--variant=minbase", f"--include={packages}")
    run_command("debootstrap", *options, SUITE, scratch, env=os.environ, timeout=1800)
    _fill_archive(scratch)
    _finish(scratch)
    scratch.rename(folder)


def _fill_archive(root: Path) -> None:
    """Bring the packages of ARCHIVED, and make them all that apt knows there (sources.list(5))."""
    _apt(root, "update")
    for packages in ARCHIVED:
        options = ("install", "--download-only", "--yes", "--no-install-recommends")
        _apt(root, *options, *packages)
    archive = root / ARCHIVE.lstrip("/")
    archive.mkdir()
    for package in (root / "var/cache/apt/archives").glob("*.deb"):
        package.rename(archive / package.name)
    index_archive(archive)
    (root / "etc/apt/sources.list").write_text(f"deb [trusted=yes] file:{ARCHIVE} ./\n")
    _apt(root, "update")


def index_archive(folder: Path) -> None:
    """Write the index of the packages in `folder`, as apt reads it from an archive without suites."""
    stanzas = []
    for package in sorted(folder.glob("*.deb")):
        fields = run_command("dpkg-deb", "--field", package, env=os.environ).stdout.strip()
        content = package.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        stanzas.append(f"{fields}\nFilename: ./{package.name}\nSize: {len(content)}\nSHA256: {digest}\n")
    (folder / "Packages").write_text("\n".join(stanzas))


def _apt(root: Path, *arguments: str) -> None:
    run_command("chroot", root, "apt-get", "--quiet=2", *arguments, env=_ENVIRONMENT, timeout=1800)


def remove(folder: Path) -> None:
    """Remove `folder` and what is mounted below it (debootstrap, when it was killed, leaves mounts)."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed([point for point in points if Path(point).is_relative_to(folder)]):
        run_command("umount", point, env=os.environ)
    shutil.rmtree(folder)


def _finish(root: Path) -> None:
    """Make it one that many hosts can start from: no keys, no identity, nothing that wakes up by itself."""
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for package in (root / "var/cache/apt/archives").glob("*.deb"):
        package.unlink()
    for unit in MASKED:
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    (root / "etc/machine-id").write_text("")
    (root / "etc/resolv.conf").write_text("")
    (root / "etc/ssh/sshd_config.d/tests.conf").write_text("MaxStartups 100\n")
