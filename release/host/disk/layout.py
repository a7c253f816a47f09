"""Every path that belongs to an application on this host."""

from dataclasses import dataclass
from pathlib import Path

SERVER_ROOT, SERVER_RUN = Path("/srv/apps"), Path("/run")
"""`root` and `run` of every layout on a server."""
SERVER_SOCKETS = Path("/run/packhorse")
"""On a server, the folder of the folders in which circusds make their sockets."""
NGINX = Path("/etc/nginx/packhorse")


@dataclass(frozen=True)
class Layout:
    """The paths of application `app`: files below `root`, sockets below `run`. Both are absolute."""

    app: str
    root: Path
    run: Path

    @property
    def folder(self) -> Path:
        """The folder of everything but the sockets."""
        return self.root / self.app

    @property
    def sockets(self) -> Path:
        """The folder of the sockets; who may write to the control socket runs code as circusd's user."""
        return self.run / self.app

    @property
    def separate(self) -> bool:
        """Whether another user runs the processes than the one that deploys: on provisioned servers.

        That user makes the sockets in a folder of its own. The role's prepare_folders.py links to them here.
        """
        return self.control.is_symlink()

    @property
    def own_sockets(self) -> Path:
        """The folder in which circusd's user makes its sockets."""
        return self.control.readlink().parent if self.separate else self.sockets

    @property
    def run_group(self) -> int:
        """The group that both users are in, which may read the configuration of releases."""
        return self.logs.stat().st_gid

    @property
    def releases(self) -> Path:
        """One folder per release, named by its number."""
        return self.folder / "releases"

    @property
    def current(self) -> Path:
        """The symlink to the release that should run."""
        return self.folder / "current"

    @property
    def static(self) -> Path:
        """Static files of all releases here, for nginx: see static_files.py."""
        return self.folder / "static-files"

    @property
    def journal(self) -> Path:
        """The outcomes of all releases: see journal.py."""
        return self.folder / "journal.jsonl"

    @property
    def lock(self) -> Path:
        """Locked (flock) by the command that changes something, and names it."""
        return self.folder / "lock"

    @property
    def stopped(self) -> Path:
        """Exists while the application is stopped on purpose."""
        return self.folder / "stopped"

    @property
    def scale(self) -> Path:
        """Numbers of processes of each type: see scale.py."""
        return self.folder / "scale.json"

    @property
    def maintenance(self) -> Path:
        """Exists in maintenance mode, and says how to answer: see processes/maintenance.py."""
        return self.folder / "maintenance.json"

    @property
    def maintenance_program(self) -> Path:
        """The program that answers in maintenance mode: a copy of runtime/maintenance.py."""
        return self.folder / "maintenance.py"

    @property
    def live(self) -> Path:
        """A symlink to the socket of the release that serves, for that program; absent while none does."""
        return self.folder / "live.sock"

    @property
    def drain(self) -> Path:
        """Destination of logs, while they are sent: see log_drain.py."""
        return self.folder / "drain.json"

    @property
    def agent(self) -> Path:
        """The agent that was used last: see bootstrap.py."""
        folder = self.folder if self.root == SERVER_ROOT else self.root.parent
        return folder / "agent" / "current.pyz"

    @property
    def config(self) -> Path:
        """Configuration that was set before the first deploy, which takes it."""
        return self.folder / "config.json"

    @property
    def circus_ini(self) -> Path:
        """circusd's own configuration: never changed while it runs."""
        return self.folder / "circus.ini"

    @property
    def supervisor(self) -> Path:
        """The program that runs circusd where no systemd does: a copy of runtime/supervisor.py."""
        return self.folder / "supervisor.py"

    @property
    def watchers(self) -> Path:
        """The folder with one ini file per watcher."""
        return self.folder / "conf.d"

    @property
    def logs(self) -> Path:
        """The folder with one log per watcher, and circusd's own."""
        return self.folder / "log"

    @property
    def data(self) -> Path:
        """The folder for what the application keeps from one release to the next: PACKHORSE_DATA."""
        return self.folder / "data"

    @property
    def circusd_log(self) -> Path:
        """circusd's own log."""
        return self.logs / "circusd.log"

    @property
    def cache(self) -> Path:
        """The installer's own cache, on the same file system as the releases: uv hard-links from it."""
        return self.folder / "cache" / "installer"

    @property
    def uv_cache(self) -> Path:
        """The wheels that uv has unpacked."""
        return self.cache / "uv"

    @property
    def files(self) -> Path:
        """Downloaded files, a folder for each hash: see file_cache.py."""
        return self.folder / "cache" / "files"

    @property
    def control(self) -> Path:
        """circusd's command socket."""
        return self.sockets / "ctl.sock"

    @property
    def events(self) -> Path:
        """circusd's event socket."""
        return self.sockets / "pub.sock"

    @property
    def web(self) -> Path:
        """The public socket: a symlink to that of the release that serves; absent while nothing does."""
        return self.sockets / "web.sock"

    def slot(self, name: str) -> Path:
        """One of the two sockets of releases: see circus_ini.SLOTS."""
        return self.sockets / f"web.{name}.sock"

    @property
    def upstream(self) -> Path:
        """On a server, nginx's `upstream` block for the application."""
        return NGINX / f"{self.app}.upstream.conf"

    @property
    def vhost(self) -> Path:
        """On a server, nginx's `server` block for the application, if something public leads to it."""
        return NGINX / f"{self.app}.conf"

    @property
    def forward(self) -> Path:
        """The program that forwards the public port to the public socket: a copy of runtime/forward.py."""
        return self.folder / "forward.py"

    def release(self, number: int) -> Path:
        """The folder of release `number`."""
        return self.releases / str(number)

    def static_of(self, number: int) -> Path:
        """The folder with the static files of release `number`."""
        return self.release(number) / "static"

    def launcher(self, number: int) -> Path:
        """The program that circus starts for every process of release `number`: runtime/launch.py."""
        return self.release(number) / "launch.py"

    def watcher_ini(self, name: str) -> Path:
        """The ini file of the watcher `name`, such as "web.43"."""
        return self.watchers / f"{name}.ini"

    def log(self, name: str) -> Path:
        """The log of the watcher `name`; rotated parts end in .1, .2, …"""
        return self.logs / f"{name}.log"
