"""Read an index that asks for a login (`read` in mirror.toml), with a token that reads it for an hour.

The login goes to `+read-token` of the index and nowhere else; what programs and hosts get is the token.
"""

import functools
import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from packhorse.errors import PackhorseError
from release import credentials, index
from release.credentials import Credentials
from release.host.formats import origin
from release.index import Response

VARIABLE = "RELEASE_INDEX_TOKEN"
SPARE = 60.0  # seconds that a token has to live when it is used once more
_HOPS = 5  # redirects on the way to a page, each of which may ask for a login
_UNREACHABLE = (OSError, http.client.HTTPException)

Find = Callable[[Sequence[str]], Credentials]
"""The login for the first of these indexes, or for another of their server. Raises PackhorseError."""


class Fetch(Protocol):
    """GET as `index.Get` says; with a token, which no redirect takes along."""

    def __call__(self, url: str, accept: str, /, *, token: str | None = None) -> Response:
        """The answer."""


class Post(Protocol):
    """POST a body with headers, and follow no redirect. Raises OSError, HTTPException."""

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes | None = None, /) -> Response:
        """The answer."""


@dataclass(frozen=True)
class Token:
    """A token for reading, and when it expires (seconds since 1970; None: nobody knows)."""

    text: str = field(repr=False)
    expires: float | None = None


_MADE: dict[str, Token] = {}  # by index, as long as this process lives


class Reader:
    """Asks `indexes`, first without a login, then with a token for reading; the first matters most."""

    def __init__(
        self,
        indexes: Sequence[str],
        find: Find,
        *,
        fetch: Fetch = index.get,
        post: Post = index.ask,
        made: dict[str, Token] = _MADE,
    ) -> None:
        self._indexes = list(dict.fromkeys(indexes))
        self._find, self._fetch, self._post, self._made = find, fetch, post, made
        self._open: set[str] = set()  # indexes that answered without a login
        self._lock = threading.RLock()

    def get(self, url: str, accept: str) -> Response:
        """Get a page as `index.Get` says. Raises PackhorseError, too: no login, or one that may not read."""
        answer = None
        for name in self._of(url):
            answer = self._get(name, url, accept)
            if answer.status not in (401, 403):
                break
        return answer or self._fetch(url, accept)

    def token(self) -> str | None:
        """A token that reads the first index; None for one that everybody reads, or that does not answer."""
        name = self._indexes[0]
        if not self._known(name) and name not in self._open:
            try:
                self.get(f"{name}?no_projects=", "application/json")
            except _UNREACHABLE:
                return None
        return self._known(name)

    def _of(self, url: str) -> Iterator[str]:
        """The indexes whose token may open this URL: that on which it lies, else all of its server."""
        same = [name for name in self._indexes if is_below(url, index.server(name))]
        exact = [name for name in same if is_below(url, name)]
        yield from exact or same

    def _get(self, name: str, url: str, accept: str) -> Response:
        token = self._known(name) if _names_index(url, name) else None
        for _ in range(_HOPS):
            answer = self._fetch(url, accept, token=token)
            where = answer.url or url
            if answer.status != 401 or not is_below(where, index.server(name)) or (token and where == url):
                break
            url, token = where, self._require(name)
        if token is None and answer.status == 200 and is_below(url, name):
            self._open.add(name)
        return answer

    def _known(self, name: str) -> str | None:
        token = self._made.get(name)
        if token and token.expires and token.expires < time.time() + SPARE:
            return None
        return token.text if token else None

    def _require(self, name: str) -> str:
        """A token for the index `name`, made with the login of this machine. Raises PackhorseError."""
        with self._lock:
            if known := self._known(name):
                return known
            own = index.server(name)
            others = [each for each in self._indexes if each != name and index.server(each) == own]
            self._made[name] = self._mint(name, self._find([name, *others]))
            return self._made[name].text

    def _mint(self, name: str, login: Credentials) -> Token:
        headers = {
            "Authorization": origin.basic(login.username, login.password),
            "Accept": "application/json",
        }
        try:
            answer = self._post(f"{name}/+read-token", headers, b"")
        except _UNREACHABLE as error:
            raise PackhorseError(
                f"The index {name} cannot be reached: {index.reason(error)}",
                "Run the command again when it answers.",
            ) from error
        if answer.status == 200:
            return _token(name, answer)
        if answer.status in (404, 405) and not login.username:  # a devpi without our plugin
            return Token(login.password)
        raise _refused(name, login, answer)


def _token(name: str, answer: Response) -> Token:
    try:
        found = json.loads(answer.body)
        return Token(str(found["token"]), float(found["expires"]))
    except (ValueError, LookupError, TypeError) as error:
        raise PackhorseError(
            f"{name}/+read-token answered something else than a token.", "Look at the log of the index."
        ) from error


def _refused(name: str, login: Credentials, answer: Response) -> PackhorseError:
    """The error for a login that got no token: what happened, and what to do."""
    who = f"the password of {login.username}" if login.username else f"the token in ${VARIABLE}"
    if login.username == "__token__":
        who = "the token in $TWINE_PASSWORD, or in the keyring"
    if answer.status == 401:
        return PackhorseError(
            f"The index {name} is not for everybody, and refuses {who}.",
            f"Log in again: release login; as in CI, correct {VARIABLE} in the environment.",
        )
    if answer.status == 403:
        return PackhorseError(
            f"The index {name} is not for everybody, and {who} does not read it: {answer.reason}",
            "Ask who owns mirror.toml to name you in `read` of that index and of its bases; for CI: "
            "mirror token create --may read",
        )
    if answer.status == 429:
        return PackhorseError(
            f"{name} takes no more passwords for now: too many were wrong.", "Try again in a minute."
        )
    if answer.status in (404, 405):
        return PackhorseError(
            f"The index {name} is not for everybody, and its server makes no tokens for reading.",
            f"Set {VARIABLE} to a token that reads it: a password is for nobody but the server.",
        )
    return PackhorseError(
        f"{name}/+read-token answered {answer.status} {answer.reason}.", "Look at the log of the index."
    )


def is_below(url: str, root: str) -> bool:
    """Whether `url` is `root` or lies below it, on the same origin: a login for one is for no other."""
    path, top = urlsplit(url).path, urlsplit(root).path.rstrip("/")
    return origin.of(url) == origin.of(root) and (path == top or path.startswith(f"{top}/"))


def _names_index(url: str, name: str) -> bool:
    """Whether `url` is of an index on the server of index `name`, and not of that server as a whole."""
    rest = urlsplit(url).path.removeprefix(urlsplit(index.server(name)).path).strip("/")
    return "/" in rest and not rest.startswith("+")


def uv_variables(index_url: str, token: str | None) -> dict[str, str]:
    """Variables by which uv reads the index at `index_url` with `token`, in no argument, URL or file."""
    if token is None:
        return {}
    return {"UV_DEFAULT_INDEX": f"company={index_url}", "UV_INDEX_COMPANY_PASSWORD": token}


def of(
    indexes: Sequence[str],
    home: Path,
    seconds: float = index.TIMEOUT,
    keyring: credentials.Keyring | None = None,
) -> Reader:
    """A reader with the login of this machine: $RELEASE_INDEX_TOKEN, else that of uploads.

    `seconds`: how long it waits for a byte of the index.
    """
    fetch: Fetch = functools.partial(index.get, timeout=seconds)
    post: Post = functools.partial(index.ask, timeout=seconds)
    find = functools.partial(_login, home, keyring or credentials.SystemKeyring())
    return Reader(indexes, find, fetch=fetch, post=post)


class NoKeyring:
    """In the place of a keyring whose owner would have to unlock it first."""

    def get_password(self, _service_name: str, _username: str) -> str | None:
        """None."""
        return None


def _login(home: Path, keyring: credentials.Keyring, indexes: Sequence[str]) -> Credentials:
    if token := os.environ.get(VARIABLE):
        return Credentials("", token)
    for name in indexes:
        try:
            return credentials.find(name, username=None, environ=os.environ, keyring=keyring, home=home)
        except PackhorseError as error:
            missing = error
    raise PackhorseError(
        f"The index {indexes[0]} is not for everybody, and there is no login for it here.",
        f"Log in: release login; as in CI, set {VARIABLE} to a token (mirror token create --may read).",
    ) from missing
