"""Make the mirror match mirror.toml: data, users, passwords, indexes. May be repeated, also after a kill."""

import importlib.util
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mirror import config as configuration
from mirror import indexes, last_settings, state
from mirror.api import Api, HttpApi
from mirror.config import MirrorConfig
from mirror.indexes import Change
from mirror.policy import license_names
from mirror.policy.settings import needing_advisories
from mirror.serving import command, devpi_init, server
from mirror.state import Credentials, Folder, Serving
from packhorse.errors import PackhorseError

WAIT_SECONDS = 120.0
START_SECONDS = (
    60.0  # a server takes the lock and writes its address, on a busy machine long before it listens
)


@dataclass(frozen=True)
class InitRequest:
    """The settings that the mirror has to match, and the options of `mirror init`."""

    config: MirrorConfig
    new_passwords: tuple[str, ...] = ()  # users who get a new password
    root_password: str | None = None  # replaces a lost one in our file
    missing: tuple[Path, ...] = ()  # where mirror.toml was looked for in vain; empty: `config` is of a file
    file: Path | None = None  # the mirror.toml
    is_named: bool = False  # by --config, so that it is meant


def run(request: InitRequest, folder: Folder, notify: Callable[[str], None]) -> Iterator[str]:
    """Make the mirror in `folder` match `request`; yield a sentence for every change, as it is made.

    A password is on disk before the server gets it, and devpi's data appears by one rename:
    whatever kills this function, the next call finds what is missing and goes on. `notify` gets
    sentences for the user that report no change.
    """
    _check_names(request)
    _check_extras(request.config)
    configuration.require_tls(request.config, "upstream.url", request.config.upstream.url or "")
    for publisher in request.config.publishers:
        configuration.require_tls(request.config, "publishers.issuer", publisher.issuer)
    server.check_secrets(request.config)
    with _exclusive(folder, notify):
        root = _root_password(request, folder)
        lock = _lock_or_server(folder)
        if isinstance(lock, Serving):
            given = Credentials(lock.url, {"root": root})
            with closing(HttpApi(lock.url, root)) as api:
                yield from match(request, api, folder, given, notify)
            if changed := command.changed_since_start(request.config, lock):
                notify(
                    f"changed in mirror.toml, and waits for a restart of `mirror serve`: {', '.join(changed)}"
                )
            return
        try:
            folder.serving.unlink(missing_ok=True)
            if not folder.initialised():
                devpi_init.initialise(folder, root)
                yield f"created {folder.server}"
            given = Credentials(request.config.url, {"root": root})
            with server.temporary(request.config, folder, lock) as url, closing(HttpApi(url, root)) as api:
                yield from match(request, api, folder, given, notify)
        finally:
            os.close(lock)


def _check_extras(config: MirrorConfig) -> None:
    requiring = any("require_provenance" in rules for rules in config.policies.values())
    if requiring and importlib.util.find_spec("pypi_attestations") is None:
        raise PackhorseError(
            "require_provenance in mirror.toml needs pypi-attestations, which is not installed.",
            "Install packhorse[provenance] on the mirror: `pip install '.[provenance]'` in a checkout.",
        )


@contextmanager
def _exclusive(folder: Folder, notify: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of `mirror init`; wait for another one to end."""
    lock = state.try_lock(folder.init_lock)
    if lock is None:
        notify("waiting for another `mirror init` to end")
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


def _check_names(request: InitRequest) -> None:
    wrong = [name for name in request.new_passwords if name not in request.config.users or name == "root"]
    if wrong:
        raise PackhorseError(
            f"--new-password {wrong[0]}: mirror.toml declares no such user.",
            "Name a user of mirror.toml; root changes with `devpi-passwd`.",
        )


def _root_password(request: InitRequest, folder: Folder) -> str:
    """The password of root: given, or stored, or (when there is no data yet) generated and stored."""
    stored = state.read_credentials(folder) or Credentials(request.config.url, {})
    password = request.root_password or stored.users.get("root")
    if folder.initialised():
        if password is None:
            raise _root_lost(
                folder, f"The mirror has data, but {folder.credentials} has no password of root."
            )
        return password
    password = password or secrets.token_hex(24)
    state.write_credentials(folder, Credentials(stored.url, {**stored.users, "root": password}))
    return password


def _root_lost(folder: Folder, message: str) -> PackhorseError:
    return PackhorseError(
        message,
        "Restore that file from a backup. Without one: `mirror stop`, "
        f"`devpi-passwd --serverdir {folder.server} root`, then `MIRROR_INIT_ROOT_PASSWORD=… mirror init`.",
    )


def _lock_or_server(folder: Folder) -> int | Serving:
    """The lock of the data, or the server that holds it, when it answers. Raises PackhorseError."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        lock = state.try_lock(folder.lock, seconds=state.LOOK_SECONDS)
        if lock is not None:
            return lock
        now = state.read_serving(folder)
        if now and server.answers(now.url):
            return now
    raise PackhorseError(
        f"A process has held {folder.lock} for {START_SECONDS:.0f} seconds without an answer.",
        "Look for it with `fuser`; end it and run the command again.",
    )


def match(
    request: InitRequest, api: Api, folder: Folder, given: Credentials, notify: Callable[[str], None]
) -> Iterator[str]:
    """Make the server behind `api` match `request`, and credentials.json match the server.

    `given` is the address that clients use, and the password of root.
    """
    if not api.accepts("root", given.users["root"]):
        raise _root_lost(folder, f"The mirror does not accept the password of root in {folder.credentials}.")
    config, users = request.config, indexes.read(api)
    before = state.read_credentials(folder)
    stored = before.users if before else {}
    missing = [name for name in config.users if name not in users and name not in stored]
    generated = {name: secrets.token_hex(24) for name in [*missing, *request.new_passwords]}
    known = {**stored, **given.users, **generated}
    changes = [
        *indexes.protect(config, users, api.call("GET", "/+readers")),
        *indexes.plan(config, users, known, _reserved(config, api), _in_force(api)),
    ]
    if config.upstream.url is None and last_settings.named_upstream(folder):
        changes += indexes.reset_upstream(users, devpi_init.default_upstream())
    _take_nothing_back(request, changes, users, folder)
    if Credentials(given.url, known) != before:
        state.write_credentials(folder, Credentials(given.url, known))
    for change in [*changes, *_password_changes(users, generated)]:
        api.call(change.method, change.path, change.body)
        yield change.sentence
    if request.file is not None and not request.missing:  # not before: what this one ends has to be known
        last_settings.remember(folder, request.file, config)
    for remark in _remarks(config, users, folder):
        notify(remark)
    wrong = [name for name in config.users if name in users and not _accepts(api, name, known.get(name))]
    _check_passwords(wrong, known, config, folder, notify)


def _remarks(config: MirrorConfig, users: indexes.Users, folder: Folder) -> Iterator[str]:
    """Sentences on what is no change, and may surprise: unknown names, missing advisories, other users."""
    yield from indexes.unknown_users(config, users)
    yield from indexes.refused_all_the_same(config, users)
    yield from license_names.unknown(config.policies)
    blocked = needing_advisories(config.policies)
    if blocked and not folder.advisories.exists():
        yield (
            f"no advisories yet: nothing of upstreams is listed on {', '.join(blocked)}; "
            "mirror advisories update FILE brings them"
        )
    if others := indexes.undeclared(config, users):
        until = "until `mirror index remove` or `mirror user remove`"
        yield f"besides those of mirror.toml, and left alone {until}: {', '.join(others)}"


def _take_nothing_back(
    request: InitRequest, changes: Iterable[Change], users: indexes.Users, folder: Folder
) -> None:
    """Refuse `changes` of what another mirror.toml declared, by the defaults or by a file nobody named."""
    last = last_settings.of_another_file(folder, request.file) if request.file else None
    lost = indexes.taken_back(changes, users)
    if not lost or request.is_named or not (request.missing or last):
        return
    where = f"the folder of {last.file}" if last else "the folder of that file"
    if request.missing:
        places = " or ".join(map(str, request.missing))
        raise PackhorseError(
            f"There is no {places}; without it the mirror would lose what one has "
            f"declared: {', '.join(lost)}.",
            f"Run the command in {where}, or name it: `mirror --config FILE init`. "
            f"If all that should end, make an empty {request.missing[-1]}.",
        )
    raise PackhorseError(
        f"{request.file} is not the mirror.toml of last time, and would change what that has declared: "
        f"{', '.join(lost)}.",
        f"Run the command in {where}. If this one counts now: `mirror --config {request.file} init`.",
    )


def _reserved(config: MirrorConfig, api: Api) -> set[str]:
    """The names that are reserved on purpose; one that an upload has reserved is not yet."""
    found = api.call("GET", "/+reserved") if config.reserved else {}
    return {name for name, record in found.items() if not record.get("index")}


def _in_force(api: Api) -> dict[str, dict[str, object]]:
    """The policies and the publishers of the server, by their addresses."""
    policies = api.call("GET", "/+policies")["settings"]
    return {"/+policies": policies, "/+publishers": api.call("GET", "/+publishers")}


def _password_changes(users: indexes.Users, generated: Mapping[str, str]) -> Iterator[Change]:
    for name, password in generated.items():
        if name in users:
            yield Change("PATCH", f"/{name}", {"password": password}, f"changed the password of {name}")


def _accepts(api: Api, name: str, password: str | None) -> bool:
    return password is not None and api.accepts(name, password)


def _check_passwords(
    wrong: Iterable[str],
    known: Mapping[str, str],
    config: MirrorConfig,
    folder: Folder,
    notify: Callable[[str], None],
) -> None:
    """Users change their own passwords; that of the owner of an index is what uploads from here need."""
    owners = {name.partition("/")[0] for name in config.indexes}
    changed = [name for name in wrong if name in known and name not in owners]
    if changed:
        notify(f"have another password than in {folder.credentials}, their own: {', '.join(changed)}")
    if lacking := [name for name in wrong if name not in changed]:
        options = " ".join(f"--new-password {name}" for name in lacking)
        raise PackhorseError(
            f"{folder.credentials} lacks the right password of {', '.join(lacking)}.",
            f"Put it there, or replace it: `mirror init {options}`.",
        )
