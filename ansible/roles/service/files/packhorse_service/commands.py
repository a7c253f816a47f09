"""The commands of packhorse-service: what each takes, does and answers.

Each writes first what is to be true (state.py), and then makes the server so: killed in between, the next
command on the same database finishes it, and a command that runs twice does nothing the second time.
"""

import shutil
from collections.abc import Callable, Mapping
from typing import Any

from packhorse_service import kinds, passwords, state
from packhorse_service.changes import Changes
from packhorse_service.errors import ServiceError
from packhorse_service.state import Database

Answer = dict[str, Any]
Request = Mapping[str, Any]


def apply(request: Request) -> Answer:
    """Bring a database as release.toml has it: {"changed", "did", "restart", "port"}.

    Takes name, kind, version, clients, listen, host and backup, see Database, and ports: those that the
    host's firewall opens for it, None for any. With check it changes nothing, and "did" is what it would do.
    """
    changes = Changes(check=bool(request.get("check")))
    declared = _declared(request)
    with state.lock():
        found = state.find(declared.name)
        if found and found.kind != declared.kind:
            raise ServiceError(
                f"{declared.name} is {found.kind} on this host, and {declared.kind} in release.toml.",
                "Give the new service another name: data does not move from one kind to another.",
            )
        if found:
            state.refuse_interrupted(found)
        present = found or Database(declared.name, declared.kind)
        if not present.passwords:  # it is new, or was closed for a removal that did not come
            present = present.with_(current="a", passwords={"a": passwords.new()})
        settings = ("version", "clients", "listen", "host", "backup")
        database = present.with_(**{key: getattr(declared, key) for key in settings})
        database = kinds.of(database).locate(database)
        _check_port(database, request.get("ports"))
        _save(database, found, changes)
        kinds.of(database).apply(database, changes)
    return {
        "changed": bool(changes.done),
        "did": changes.done,
        "restart": changes.restart,
        "port": database.port,
    }


def list_(request: Request) -> Answer:  # noqa: ARG001  # as all commands
    """All databases of the host: {"services": […]}, without passwords; what does not answer has "error"."""
    return {"services": [_described(state.load(name)) for name in state.names()]}


def credentials(request: Request) -> Answer:
    """Credentials of `name`: {"name", "kind", "url", "login", "next"}; next: those of a rotation."""
    database = state.load(request.get("name"))
    state.refuse_closed(database)
    following = (
        {"url": _url(database, database.next), "login": database.login(database.next)}
        if database.next
        else None
    )
    return {
        "name": database.name,
        "kind": database.kind,
        "url": _url(database, database.current),
        "login": database.login(database.current),
        "next": following,
    }


def rotate(request: Request) -> Answer:
    """Open the second login of `name` with a new password, beside the first: as `credentials`.

    Until rotate-finish it is the same one, however often this runs.
    """
    with state.lock():
        database = state.load(request.get("name"))
        state.refuse_closed(database)
        state.refuse_interrupted(database)
        if database.next is None:
            other = next(which for which in state.LOGINS if which != database.current)
            database = database.with_(next=other, passwords={**database.passwords, other: passwords.new()})
            state.save(database)
        kinds.of(database).apply(database, Changes())
    return credentials(request)


def rotate_finish(request: Request) -> Answer:
    """Close the first login of `name`, and end its connections.

    Answers {"changed", "login", "closed", "disconnected"}, where the last is a number.
    """
    with state.lock():
        database = state.load(request.get("name"))
        state.refuse_closed(database)
        state.refuse_interrupted(database)
        changed = database.next is not None
        if database.next:
            kept = {database.next: database.passwords[database.next]}
            database = database.with_(current=database.next, next=None, passwords=kept)
            state.save(database)
        kind = kinds.of(database)
        kind.apply(database, Changes())
        closed = next(which for which in state.LOGINS if which != database.current)
        ended = kind.disconnect(database, closed)
    login, other = database.login(database.current), database.login(closed)
    return {"changed": changed or bool(ended), "login": login, "closed": other, "disconnected": ended}


def close(name: str) -> None:
    """Close all logins of `name`, which is about to be removed, and end their connections.

    What they wrote later would not be in the last backup. `apply` opens a login again.
    """
    with state.lock():
        database = state.load(name).with_(passwords={}, next=None)
        state.save(database)
        kind = kinds.of(database)
        kind.apply(database, Changes())
        for which in (*state.LOGINS, state.SHELL):
            kind.disconnect(database, which)


def remove(request: Request) -> Answer:
    """Remove the database `name` with data, logins and rules: {"changed", "did"}.

    Who calls has closed it, and made a backup. Raises ServiceError for one that is open (again).
    """
    name, changes = state.check_name(request.get("name")), Changes()
    with state.lock():
        database = state.find(name)
        if database and database.passwords:
            raise ServiceError(
                f"{name} is in use (again): what was written since its last backup would be lost.",
                "Run the command again: it closes the database, and makes another backup.",
            )
        if database:
            kinds.of(database).remove(database, changes)
            changes.do(f"forgets {name}", lambda: shutil.rmtree(state.folder(name)))
    return {"changed": bool(changes.done), "did": changes.done}


def _declared(request: Request) -> Database:
    """The settings in a request. Raises ServiceError."""
    kind, version, backup = request.get("kind"), request.get("version"), request.get("backup", {})
    if kind not in state.KINDS or not isinstance(version, str | None) or not isinstance(backup, dict):
        raise ServiceError(
            f"{kind!r:.40} is no kind of database of this Packhorse.", "Run: release provision"
        )
    return Database(
        state.check_name(request.get("name")),
        kind,
        version=version or None,
        clients=state.addresses(request.get("clients")),
        listen=state.addresses(request.get("listen")),
        host=state.address(request.get("host")),
        backup=backup,
    )


def _check_port(database: Database, opened: str | None) -> None:
    """Refuse a server at a port that the firewall keeps closed; `opened`: PORT or FIRST-LAST."""
    first, _, last = (opened or "0-65535").partition("-")
    if not int(first) <= database.port <= int(last or first):
        raise ServiceError(
            f"{database.kind} listens at port {database.port} here, and [firewall] opens {opened} for it.",
            f'Let it listen at {opened}, or leave the host out in release.toml: [firewall] skip = ["…"]',
        )


def _save(database: Database, found: Database | None, changes: Changes) -> None:
    if found is None:
        changes.do(f"makes a login for {database.name}", lambda: state.save(database))
    elif found != database:
        changes.do(f"writes down the new settings of {database.name}", lambda: state.save(database))


def _url(database: Database, which: str) -> str:
    return kinds.of(database).url(database, which)


def _described(database: Database) -> Answer:
    app, target, service = database.parts
    known = {
        "name": database.name,
        "app": app,
        "target": target,
        "service": service,
        "kind": database.kind,
        "host": database.host,
        "port": database.port,
        "clients": list(database.clients),
        "login": database.login(database.current),
        "rotating": database.next is not None,
        "closed": not database.passwords,
        "backup": dict(database.backup),
    }
    try:
        return {**known, **kinds.of(database).describe(database)}
    except ServiceError as error:
        return {**known, "error": error.message, "hint": error.hint}


COMMANDS: Mapping[str, Callable[[Request], Answer]] = {
    "apply": apply,
    "list": list_,
    "credentials": credentials,
    "rotate": rotate,
    "rotate-finish": rotate_finish,
    "remove": remove,
}
