"""The mirror's folder: its paths, the lock of the server, the running server's address, the passwords."""

import fcntl
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from packhorse import files
from packhorse.errors import PackhorseError

LOOK_SECONDS = 0.2  # longer than `held` keeps a lock to look at it


@dataclass(frozen=True)
class Folder:
    """Every path of the mirror below one PACKHORSE_HOME."""

    home: Path

    @property
    def root(self) -> Path:
        return self.home / "mirror"

    @property
    def server(self) -> Path:
        """devpi's --serverdir; it exists completely or not at all."""
        return self.root / "server"

    @property
    def files(self) -> Path:
        """The uploaded and cached files, as `user/index/+f/…`."""
        return self.server / "+files"

    @property
    def pages(self) -> Path:
        """Rendered pages (mirror/plugin/pages/store.py)."""
        return self.server / "+pages"

    @property
    def metadata(self) -> Path:
        """Metadata files of wheels, by index and hash (mirror/plugin/metadata/store.py)."""
        return self.server / "+metadata" / "by-address"

    @property
    def decisions(self) -> Path:
        """The decisions of policies, as JSON lines (mirror/plugin/guards/decision_log.py)."""
        return self.server / "+decisions"

    @property
    def refused_hosts(self) -> Path:
        """Hosts that upstreams led to in vain (mirror/plugin/upstream/allowed_hosts.py)."""
        return self.server / "+refused-hosts"

    @property
    def advisories(self) -> Path:
        """Known vulnerabilities (mirror/advisories/database.py); may be there without a mirror."""
        return self.root / "advisories.sqlite"

    @property
    def monitoring(self) -> Path:
        """The settings of [metrics], [audit] and [[webhooks]], for the server."""
        return self.root / "monitoring.json"

    @property
    def audit(self) -> Path:
        """The audit log, for whom runs the server alone; a restored backup does not replace it."""
        return self.root / "audit"

    @property
    def webhooks(self) -> Path:
        """Messages for webhooks that are not delivered yet."""
        return self.root / "webhooks"

    @property
    def secret(self) -> Path:
        """32 random bytes as text; devpi signs logins with them."""
        return self.root / "secret"

    @property
    def credentials(self) -> Path:
        return self.root / "credentials.json"

    @property
    def serving(self) -> Path:
        return self.root / "serving.json"

    @property
    def last_settings(self) -> Path:
        """The mirror.toml that `mirror init` has read last (mirror/last_settings.py)."""
        return self.root / "last-settings.json"

    @property
    def last_refresh(self) -> Path:
        """Record of the last `mirror refresh` (mirror/last_refresh.py)."""
        return self.root / "last-refresh.json"

    @property
    def lock(self) -> Path:
        """The server process holds it (flock) for its life."""
        return self.root / "lock"

    @property
    def init_lock(self) -> Path:
        return self.root / "init.lock"

    @property
    def log(self) -> Path:
        """The output of a server in the background."""
        return self.root / "server.log"

    def initialised(self) -> bool:
        return self.server.exists()


@dataclass(frozen=True)
class Serving:
    """A running server: its address, its process id, and whether it asks no upstream."""

    url: str
    pid: int
    offline: bool = False  # as of one that an earlier version has started
    settings: Mapping[str, str] = field(default_factory=dict)  # hashes of those that hold until it restarts


@dataclass(frozen=True)
class Credentials:
    """The URL for clients on this machine, and the passwords of the users that `mirror init` created."""

    url: str
    users: dict[str, str]


def try_lock(path: Path, *, seconds: float = 0) -> int | None:
    """Take the lock `path`; its descriptor, or None when another process holds it for `seconds`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = _open_lock(path)
    except OSError as error:
        raise PackhorseError(
            f"{error.filename}: {error.strerror}", "Set PACKHORSE_HOME to a folder that you may write to."
        ) from error
    deadline = time.monotonic() + seconds
    while not files.try_flock(descriptor):
        if time.monotonic() >= deadline:
            os.close(descriptor)
            return None
        time.sleep(0.05)
    return descriptor


def _open_lock(path: Path) -> int:
    """Open the lock, which root makes for the owner of its folder: that one needs it next. Raises OSError.

    That folder is not root's: a link in it is not followed, and what was there before changes no owner.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            descriptor = os.open(path.name, flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
        except FileExistsError:
            return os.open(path.name, flags, dir_fd=folder)
        if os.geteuid() == 0:
            owner = os.fstat(folder)
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        return descriptor
    finally:
        os.close(folder)


def held(path: Path) -> bool:
    """Whether a process holds the lock `path`. Creates no file."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two processes that only look do not take each other for a server.
        return not files.try_flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def read_serving(folder: Folder) -> Serving | None:
    """The server that holds the lock; None without one, or while `mirror init` holds it."""
    if not held(folder.lock):
        return None
    try:
        return Serving(**json.loads(folder.serving.read_bytes()))
    except FileNotFoundError:
        return None


def write_serving(folder: Folder, now: Serving) -> None:
    files.write_whole(folder.serving, json.dumps(asdict(now)).encode() + b"\n")


def read_credentials(folder: Folder) -> Credentials | None:
    """The stored passwords, None without a file. Raises PackhorseError when the file is damaged."""
    try:
        return _credentials(json.loads(folder.credentials.read_bytes()))
    except FileNotFoundError:
        return None
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError, IsADirectoryError) as error:
        raise PackhorseError(
            f"{folder.credentials} is damaged.",
            "Restore it from a backup, or remove it and run `mirror init`, which says what to do then.",
        ) from error


def _credentials(data: Any) -> Credentials:  # noqa: ANN401 (JSON)
    url, users = data["url"], data["users"]
    if not all(isinstance(each, str) for each in (url, *users.values())):
        raise TypeError("a password is no text")
    return Credentials(url, users)


def write_credentials(folder: Folder, credentials: Credentials) -> None:
    files.write_whole(folder.credentials, json.dumps(asdict(credentials), indent=2).encode() + b"\n", 0o600)


def set_url(folder: Folder, url: str) -> None:
    """Store `url` for local clients: the mirror may have moved to another port."""
    stored = read_credentials(folder)
    if stored is not None and stored.url != url:
        write_credentials(folder, Credentials(url, stored.users))
