"""The mirror that serves: its address, and calls to it as root."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirror import api, state
from mirror.api import Api, HttpApi
from mirror.serving import server
from mirror.state import Folder
from packhorse.errors import PackhorseError

if TYPE_CHECKING:
    import httpx

LOOK_AGAIN = 0.2  # seconds


@dataclass(frozen=True)
class Running:
    """The mirror that serves: its URL, the passwords of credentials.json by user, whether it is offline."""

    url: str
    passwords: Mapping[str, str] = field(repr=False)
    offline: bool = False

    @property
    def root(self) -> str:
        """The password of root. Raises PackhorseError when the file has none."""
        if "root" not in self.passwords:
            raise PackhorseError(
                "credentials.json of the mirror has no password of root.",
                "`mirror init` says how to bring it back.",
            )
        return self.passwords["root"]

    @property
    def login(self) -> tuple[str, str] | None:
        """That of root, who may read all indexes; None without it: others are for everybody."""
        return ("root", self.passwords["root"]) if "root" in self.passwords else None

    @property
    def api(self) -> Api:
        """Its API, as root where the password is known."""
        return HttpApi(self.url, self.login[1] if self.login else None)

    def client(self, timeout: float) -> "httpx.Client":
        """A client for pages and files of all indexes."""
        return api.client(timeout, api.login_at(self.url, *self.login) if self.login else None)


def find(folder: Folder) -> Running:
    """The running mirror. Raises PackhorseError when none runs."""
    now, credentials = state.read_serving(folder), state.read_credentials(folder)
    if not folder.initialised():
        raise PackhorseError(f"There is no mirror in {folder.root} yet.", "Make it with `mirror init`.")
    if now is None:
        raise PackhorseError("The mirror does not serve.", "Start it with `mirror serve --background`.")
    return Running(now.url, credentials.users if credentials else {}, now.offline)


def started(folder: Folder, seconds: float) -> Running:
    """The running mirror; while none answers, wait so many `seconds` for one that starts.

    Raises PackhorseError.
    """
    deadline = time.monotonic() + seconds
    while not _answers(folder) and time.monotonic() < deadline:
        time.sleep(LOOK_AGAIN)
    return find(folder)


def _answers(folder: Folder) -> bool:
    now = state.read_serving(folder)
    return now is not None and server.answers(now.url)


def connect(folder: Folder) -> Api:
    """The API of the running mirror, as root. Raises PackhorseError when none runs."""
    found = find(folder)
    return HttpApi(found.url, found.root)
