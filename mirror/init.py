"""mirror.toml in, a mirror that matches it out; repeatable at any time, also after a kill."""

import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from mirror import indexes, server, state
from mirror.api import Api, HttpApi
from mirror.config import MirrorConfig
from mirror.indexes import Change
from mirror.state import Credentials, Folder, Serving
from packhorse.errors import PackhorseError

WAIT_SECONDS = 120.0
START_SECONDS = 10.0  # between taking the lock and saying the address, a server needs a moment


@dataclass(frozen=True)
class Wishes:
    """What the mirror should be like, and what the user asked for besides."""

    config: MirrorConfig
    new_passwords: tuple[str, ...] = ()  # users who get a new password
    root_password: str | None = None  # replaces a lost one in our file


def run(wishes: Wishes, folder: Folder, note: Callable[[str], None]) -> Iterator[str]:
    """Make the mirror in `folder` match; yields a sentence for every change, as it is made.

    A password is on disk before the server learns it, and devpi's data appears by one rename:
    whatever kills this function, the next call finds what is missing and goes on. `note` is told
    what the user should know although nothing was changed.
    """
    _check_names(wishes)
    with _alone(folder, note):
        root = _root_password(wishes, folder)
        lock = _lock_or_server(folder)
        if isinstance(lock, Serving):
            given = Credentials(lock.url, {"root": root})
            yield from match(wishes, HttpApi(lock.url, root), folder, given, note)
            return
        try:
            folder.serving.unlink(missing_ok=True)
            if not folder.initialised():
                server.initialise(folder, root)
                yield f"created {folder.server}"
            given = Credentials(wishes.config.url, {"root": root})
            with server.temporary(wishes.config, folder, lock) as url:
                yield from match(wishes, HttpApi(url, root), folder, given, note)
        finally:
            os.close(lock)


@contextmanager
def _alone(folder: Folder, note: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of `mirror init`, waiting for another one to end."""
    lock = state.try_lock(folder.init_lock)
    if lock is None:
        note("waiting for another `mirror init` to end")
        lock = state.try_lock(folder.init_lock, seconds=WAIT_SECONDS)
    if lock is None:
        raise PackhorseError(
            f"Another `mirror init` has held {folder.init_lock} for {WAIT_SECONDS:.0f} seconds.",
            "Look for it with `ps`; end it, or wait, and run the command again.",
        )
    try:
        yield
    finally:
        os.close(lock)


def _check_names(wishes: Wishes) -> None:
    wrong = [name for name in wishes.new_passwords if name not in wishes.config.users or name == "root"]
    if wrong:
        raise PackhorseError(
            f"--new-password {wrong[0]}: mirror.toml declares no such user.",
            "Name a user of mirror.toml; root changes with `devpi-passwd`.",
        )


def _root_password(wishes: Wishes, folder: Folder) -> str:
    """The password of root: given, or kept, or (when there is no data yet) new and kept from now on."""
    kept = state.read_credentials(folder) or Credentials(wishes.config.url, {})
    password = wishes.root_password or kept.users.get("root")
    if folder.initialised():
        if password is None:
            raise _root_lost(
                folder, f"The mirror has data, but {folder.credentials} has no password of root."
            )
        return password
    password = password or secrets.token_hex(24)
    state.write_credentials(folder, Credentials(kept.url, {**kept.users, "root": password}))
    return password


def _root_lost(folder: Folder, message: str) -> PackhorseError:
    return PackhorseError(
        message,
        "Restore that file from a backup. Without one: `mirror stop`, "
        f"`devpi-passwd --serverdir {folder.server} root`, then `MIRROR_INIT_ROOT_PASSWORD=… mirror init`.",
    )


def _lock_or_server(folder: Folder) -> int | Serving:
    """The lock of the data, or the server that holds it. Raises PackhorseError after START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        lock = state.try_lock(folder.lock, seconds=state.LOOK_SECONDS)
        found = lock if lock is not None else state.read_serving(folder)
        if found is not None:
            return found
    raise PackhorseError(
        f"A process has held {folder.lock} for {START_SECONDS:.0f} seconds without serving.",
        "Look for it with `fuser`; end it and run the command again.",
    )


def match(
    wishes: Wishes, api: Api, folder: Folder, given: Credentials, note: Callable[[str], None]
) -> Iterator[str]:
    """Make the server behind `api` match `wishes`, and our file of passwords the server.

    `given` is the address that clients use, and the password of root.
    """
    if not api.accepts("root", given.users["root"]):
        raise _root_lost(folder, f"The mirror does not accept the password of root in {folder.credentials}.")
    config, users = wishes.config, indexes.read(api)
    before = state.read_credentials(folder)
    kept = before.users if before else {}
    missing = [name for name in config.users if name not in users and name not in kept]
    made = {name: secrets.token_hex(24) for name in [*missing, *wishes.new_passwords]}
    known = {**kept, **given.users, **made}
    if Credentials(given.url, known) != before:
        state.write_credentials(folder, Credentials(given.url, known))
    for change in [*indexes.plan(config, users, known), *_renewals(users, made)]:
        api.call(change.method, change.path, change.body)
        yield change.sentence
    for name in indexes.undeclared(config, users):
        note(f"not in mirror.toml, left as it is: {name}")
    _check_passwords([name for name in config.users if name in users], known, api, folder)


def _renewals(users: indexes.Users, made: Mapping[str, str]) -> Iterator[Change]:
    for name, password in made.items():
        if name in users:
            yield Change("PATCH", f"/{name}", {"password": password}, f"changed the password of {name}")


def _check_passwords(names: Iterable[str], known: Mapping[str, str], api: Api, folder: Folder) -> None:
    wrong = [name for name in names if name not in known or not api.accepts(name, known[name])]
    if wrong:
        options = " ".join(f"--new-password {name}" for name in wrong)
        raise PackhorseError(
            f"{folder.credentials} lacks the right password of {', '.join(wrong)}.",
            f"Put it there, or replace it: `mirror init {options}`.",
        )
