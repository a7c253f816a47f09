"""The name of an application in, every path that belongs to it on this host out."""

from dataclasses import dataclass
from pathlib import Path

SERVER_ROOT, SERVER_RUN = Path("/srv/apps"), Path("/run")
"""`root` and `run` of every application on a server."""
NGINX = Path("/etc/nginx/packhorse")


@dataclass(frozen=True)
class Layout:
    """Where application `app` lives: below `root` what lasts, below `run` its sockets. Both are absolute."""

    app: str
    root: Path
    run: Path

    @property
    def folder(self) -> Path:
        """Everything that lasts."""
        return self.root / self.app

    @property
    def sockets(self) -> Path:
        """0700: whoever may write to the control socket runs code as this user."""
        return self.run / self.app

    @property
    def releases(self) -> Path:
        """One folder per release, named by its number."""
        return self.folder / "releases"

    @property
    def current(self) -> Path:
        """The symlink to the release that should run."""
        return self.folder / "current"

    @property
    def journal(self) -> Path:
        """What happened: see journal.py."""
        return self.folder / "journal.jsonl"

    @property
    def lock(self) -> Path:
        """Held (flock) by the command that changes something; tells who it is."""
        return self.folder / "lock"

    @property
    def stopped(self) -> Path:
        """There while the application is stopped on purpose."""
        return self.folder / "stopped"

    @property
    def circus_ini(self) -> Path:
        """circusd's own configuration: never changed while it runs."""
        return self.folder / "circus.ini"

    @property
    def watchers(self) -> Path:
        """One ini file per watcher."""
        return self.folder / "conf.d"

    @property
    def logs(self) -> Path:
        """One log per watcher, and circusd's own."""
        return self.folder / "log"

    @property
    def circusd_log(self) -> Path:
        """What circusd itself says."""
        return self.logs / "circusd.log"

    @property
    def cache(self) -> Path:
        """The installer's own cache: on the releases' filesystem, so that it can hard-link."""
        return self.folder / "cache" / "installer"

    @property
    def files(self) -> Path:
        """What was fetched from the index, a folder for each hash: see file_cache.py."""
        return self.folder / "cache" / "files"

    @property
    def control(self) -> Path:
        """Where circusd takes commands."""
        return self.sockets / "ctl.sock"

    @property
    def events(self) -> Path:
        """Where circusd publishes events."""
        return self.sockets / "pub.sock"

    @property
    def web(self) -> Path:
        """A symlink: where requests are answered now. Not there while the application is stopped."""
        return self.sockets / "web.sock"

    def slot(self, name: str) -> Path:
        """One of the two sockets that releases take turns on."""
        return self.sockets / f"web.{name}.sock"

    @property
    def upstream(self) -> Path:
        """On a server, what tells nginx where to ask."""
        return NGINX / f"{self.app}.upstream.conf"

    @property
    def front(self) -> Path:
        """The program that forwards a port."""
        return self.folder / "front.py"

    def release(self, number: int) -> Path:
        """The folder of release `number`."""
        return self.releases / str(number)

    def launcher(self, number: int) -> Path:
        """What circus starts the processes of release `number` with."""
        return self.release(number) / "launch.py"

    def watcher_ini(self, name: str) -> Path:
        """The file of the watcher `name`, such as "web.43"."""
        return self.watchers / f"{name}.ini"

    def log(self, name: str) -> Path:
        """The log of the watcher `name`; older parts end in .1, .2, …"""
        return self.logs / f"{name}.log"
