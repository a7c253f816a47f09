"""Remove an index of the server that nothing needs any more."""

from mirror import indexes
from mirror.api import Api
from mirror.config import UPSTREAM_INDEX, MirrorConfig
from packhorse.errors import PackhorseError


def projects_to_remove(api: Api, config: MirrorConfig, name: str) -> list[str]:
    """The projects that were uploaded to the index `name`. Raises PackhorseError when it has to stay."""
    users = indexes.read(api)
    found = indexes.find(users, name)
    if found is None:
        raise PackhorseError(f"There is no index {name}.", "`mirror status` lists them.")
    if name == UPSTREAM_INDEX:
        raise PackhorseError(
            f"{name} is what the mirror caches, and is not removed.",
            "[upstream] of mirror.toml names another upstream for it.",
        )
    if name in config.indexes:
        raise PackhorseError(
            f"{name} is declared in mirror.toml, and is not removed.",
            f'Remove [indexes."{name}"] there, then run the command again.',
        )
    heirs = [heir for heir, of_heir in indexes.bases(users).items() if name in of_heir]
    if heirs:
        raise PackhorseError(
            f"{', '.join(heirs)} inherits from {name}.",
            "Change its `bases` in mirror.toml and run `mirror init`, or remove it first.",
        )
    return list(api.call("GET", f"/{name}")["projects"]) if found["type"] == "stage" else []


def remove(api: Api, name: str) -> str:
    """Remove an index with all that is on it; a sentence for people."""
    api.call("PATCH", f"/{name}", {"volatile": True})  # devpi removes no other
    api.call("DELETE", f"/{name}")
    readers = api.call("GET", "/+readers")
    if name in readers:  # not before: it would be open for a moment
        api.call("PUT", "/+readers", {key: who for key, who in readers.items() if key != name})
    return f"removed index {name}"
