"""Compare the users and indexes of mirror.toml with the server's, and plan the calls that make them equal."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from mirror import config as configuration
from mirror.api import Api
from mirror.config import UPSTREAM_INDEX, Index, MirrorConfig
from packhorse import urls
from packhorse.errors import PackhorseError

_EVERYBODY = [":ANONYMOUS:"]  # devpi's default for test results

Users = Mapping[str, Mapping[str, Any]]  # devpi's `GET /`: user name -> its data, with its indexes


@dataclass(frozen=True)
class Change:
    """An HTTP call, and the sentence that reports it."""

    method: str
    path: str
    body: Mapping[str, object]
    sentence: str


def read(api: Api) -> Users:
    """All users and indexes of the server; unlike `GET /user/index`, this call lists no projects."""
    users: Users = api.call("GET", "/")
    return users


def find(users: Users, name: str) -> Mapping[str, Any] | None:
    """The settings of the index `name`, None when the server has no such index."""
    owner, _, rest = name.partition("/")
    found: Mapping[str, Any] | None = users.get(owner, {}).get("indexes", {}).get(rest)
    return found


def bases(users: Users) -> dict[str, list[str]]:
    """The names of all indexes -> those of their bases."""
    return {
        f"{user}/{name}": list(index.get("bases", ()))
        for user, data in users.items()
        for name, index in data.get("indexes", {}).items()
    }


def chain(name: str, bases: Mapping[str, Sequence[str]]) -> list[str]:
    """`name` and the indexes that it inherits from, the nearest first."""
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        found[(each := waiting.pop(0))] = None
        waiting += [base for base in bases.get(each, ()) if base not in found]
    return list(found)


def plan(
    config: MirrorConfig,
    users: Users,
    passwords: Mapping[str, str],
    reserved: Collection[str] = (),
    in_force: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Change]:
    """The calls that make the server match `config`, bases before the indexes that inherit from them.

    `reserved` are the names that the server holds reserved on purpose, `in_force` its policies and its
    publishers, by their addresses.
    """
    return [
        *(
            Change("PUT", f"/+reserved/{quote(name, '')}", {}, f"reserved {name}")
            for name in config.reserved
            if name not in reserved
        ),
        *_user_changes(config, users, passwords),
        *_upstream_changes(config, find(users, UPSTREAM_INDEX)),
        *(
            change
            for name in configuration.in_order(config.indexes)
            for change in _index_changes(name, config.indexes[name], find(users, name))
        ),
        *(
            change
            for change in (_policy_change(config), _publisher_change(config))
            if (in_force or {}).get(change.path, change.body) != change.body
        ),
    ]


def protect(config: MirrorConfig, users: Users, readers: Mapping[str, Any]) -> list[Change]:
    """The call that lets read whom `config` names; `readers` are those that the server has.

    An index that `config` does not declare is left as it is, so protected. The call comes before those of
    `plan`, so that no index is open until it is protected.
    """
    kept = {name: readers[name] for name in _undeclared_indexes(config, users) if name in readers}
    wanted = {**kept, **config.readers}
    if readers == wanted:
        return []
    who = "; ".join(
        f"{name} by {', '.join(names) or 'root'}{_with_heirs(name, config, users)}"
        for name, names in wanted.items()
    )
    return [Change("PUT", "/+readers", wanted, f"read: {who or 'everybody reads all indexes'}")]


def _with_heirs(name: str, config: MirrorConfig, users: Users) -> str:
    """A remark on the indexes that inherit from a protected one: they ask for a login, too."""
    heirs = sorted(
        each for each in {*bases(users), *config.indexes} - {name} if name in _inherited(each, config, users)
    )
    return (
        f" (and so {', '.join(heirs)}, which inherit{'s' if len(heirs) == 1 else ''} from it)"
        if heirs
        else ""
    )


_DECLARATIONS = ("/+readers", "/+policies", "/+publishers")


def taken_back(changes: Iterable[Change], users: Users) -> list[str]:
    """Settings on the server that end by `changes`, those of the defaults: "policies", "KEY of INDEX".

    Defaults only narrow what devpi itself opens: test results of everybody are not meant, and of root/pypi
    the address alone is.
    """
    found = []
    for change in changes:
        name = change.path[1:]
        existing = find(users, name)
        if change.path in _DECLARATIONS:
            found.append(change.path.removeprefix("/+"))
        elif name == UPSTREAM_INDEX:
            found += [f"mirror_url of {name}"] if "mirror_url" in change.body else []
        elif existing is not None:
            opened = {"acl_toxresult_upload"} if existing.get("acl_toxresult_upload") == _EVERYBODY else set()
            found += [f"{key} of {name}" for key in change.body if key not in opened]
    return found


def _policy_change(config: MirrorConfig) -> Change:
    where = ", ".join(name or "all indexes" for name in config.policies)
    return Change("PUT", "/+policies", config.policies, f"declared policies of {where or 'no index'}")


def _publisher_change(config: MirrorConfig) -> Change:
    where = ", ".join(sorted({publisher.index for publisher in config.publishers}))
    return Change("PUT", "/+publishers", config.publishing, f"declared publishers of {where or 'no index'}")


def undeclared(config: MirrorConfig, users: Users) -> list[str]:
    """Users and indexes that only the server has, as "user X" and "index X/Y"; we never delete them."""
    names = [f"user {user}" for user in users if user != "root" and user not in config.users]
    return names + [f"index {name}" for name in _undeclared_indexes(config, users)]


def unknown_users(config: MirrorConfig, users: Users) -> list[str]:
    """A sentence for each name that an index lets in, and that is no user of the server (":…" are groups)."""
    places: dict[str, list[str]] = {}
    for name, index in config.indexes.items():
        for key in ("acl_upload", "acl_toxresult_upload", "read"):
            for who in getattr(index, key) or ():
                places.setdefault(who, []).append(f"{key} of {name}")
    known = {"root", *users, *config.users}
    return [
        f"there is no user {who}, and whoever gets that name later is let in: {', '.join(found)}"
        for who, found in places.items()
        if who not in known and not who.startswith(":")
    ]


def refused_all_the_same(config: MirrorConfig, users: Users) -> list[str]:
    """A sentence for each index and base that refuses, by its `read`, whom that index lets in."""
    found = []
    for name, index in config.indexes.items():
        uploaders = configuration.uploaders(name, index) if name != UPSTREAM_INDEX else ()
        for base in _inherited(name, config, users):
            readers = config.readers.get(base)
            refused = sorted({*uploaders, *(index.read or ())} - {"root", *(readers or ())})
            if readers is not None and configuration.AUTHENTICATED not in readers and refused:
                found.append(
                    f"{name} is refused to {', '.join(refused)}, who may upload there or read it: "
                    f"`read` of {base}, from which it inherits, names others"
                )
    return found


def _inherited(name: str, config: MirrorConfig, users: Users) -> list[str]:
    """The indexes from which `name` inherits, also through others."""
    existing = bases(users)
    declared = {
        each: index.bases
        for each, index in config.indexes.items()
        if "bases" in index.model_fields_set or each not in existing
    }
    return chain(name, {**existing, **declared})[1:]


def _undeclared_indexes(config: MirrorConfig, users: Users) -> list[str]:
    names = [f"{user}/{name}" for user, data in users.items() for name in data.get("indexes", {})]
    return [name for name in names if name not in {UPSTREAM_INDEX, *config.indexes}]


def _user_changes(config: MirrorConfig, users: Users, passwords: Mapping[str, str]) -> Iterator[Change]:
    for name, user in config.users.items():
        declared = {"email": user.email} if user.email is not None else {}
        if name not in users:
            body = {"password": passwords[name], **declared}
            yield Change("PUT", f"/{name}", body, f"created user {name}")
            continue
        different = {key: value for key, value in declared.items() if users[name].get(key) != value}
        if different:
            yield Change(
                "PATCH",
                f"/{name}",
                different,
                f"changed user {name}: {_list_changes(users[name], different)}",
            )


def _upstream_changes(config: MirrorConfig, existing: Mapping[str, Any] | None) -> Iterator[Change]:
    if existing is None:
        raise PackhorseError(
            f"The server has no index {UPSTREAM_INDEX}, which caches the upstream.",
            f"Create it with the devpi client (`devpi index -c {UPSTREAM_INDEX} type=mirror mirror_url=…`).",
        )
    # Otherwise devpi asks for the list of all projects first, which takes longer than clients wait.
    declared: dict[str, object] = {"mirror_no_project_list": True}
    if config.upstream.url is not None:
        declared["mirror_url"] = config.upstream.url
    yield from _modify(UPSTREAM_INDEX, existing, declared)


def reset_upstream(users: Users, url: str) -> list[Change]:
    """The call that gives root/pypi its default, `url`, again: mirror.toml does not name another any more."""
    return list(_modify(UPSTREAM_INDEX, find(users, UPSTREAM_INDEX) or {}, {"mirror_url": url}))


def _index_changes(name: str, index: Index, existing: Mapping[str, Any] | None) -> Iterator[Change]:
    uploaders = configuration.uploaders(name, index)
    testers = index.acl_toxresult_upload if index.acl_toxresult_upload is not None else uploaders
    declared = {
        "bases": list(index.bases),
        "volatile": index.volatile,
        "acl_upload": list(uploaders),
        "acl_toxresult_upload": list(testers),  # devpi's default is everybody
    }
    if existing is None:
        if configuration.limits_alone(index):
            raise PackhorseError(
                f"indexes.{name}: there is no such index to protect.",
                "Correct its name (`mirror status` lists all). A new index needs `bases`, which may be [].",
            )
        bases = ", ".join(index.bases) or "none"
        kind = "volatile" if index.volatile else "not volatile"
        yield Change(
            "PUT",
            f"/{name}",
            {"type": "stage", **declared},
            f"created index {name} ({kind}, bases: {bases}){_of_uploads(name, index, None)}",
        )
    elif existing["type"] != "stage":
        raise PackhorseError(
            f"The server has {name} as an index of type {existing['type']}, and a type cannot be changed.",
            f"Give the index another name in mirror.toml, or delete {name} with the devpi client.",
        )
    else:
        kept = {"bases", "volatile"} - index.model_fields_set  # an upload right that is not declared ends
        wanted = {key: declared[key] for key in declared if key not in kept}
        yield from _modify(name, existing, wanted, _of_uploads(name, index, existing))


def _of_uploads(name: str, index: Index, existing: Mapping[str, Any] | None) -> str:
    """A remark on new uploaders: the owner alone, as nobody is named; or not the owner."""
    owner, uploaders = name.partition("/")[0], configuration.uploaders(name, index)
    before = existing["acl_upload"] if existing else [owner]
    if list(uploaders) == before:
        return ""
    if index.acl_upload is None and set(before) - set(uploaders):
        return " (mirror.toml names nobody there: its owner alone may upload)"
    if {owner, configuration.AUTHENTICATED}.isdisjoint(uploaders):
        return f" (not {owner}, its owner: acl_upload names others)"
    return ""


def _modify(
    name: str, existing: Mapping[str, Any], declared: Mapping[str, object], remark: str = ""
) -> Iterator[Change]:
    different = {key: value for key, value in declared.items() if existing.get(key) != value}
    if different:
        changes = _list_changes(existing, different)
        yield Change("PATCH", f"/{name}", different, f"changed index {name}: {changes}{remark}")


def _list_changes(old: Mapping[str, Any], new: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {_show(old.get(key))} -> {_show(value)}" for key, value in new.items())


def _show(value: object) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, value))
    return urls.without_logins(str(value))
