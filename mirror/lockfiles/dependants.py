"""Tell which packages an environment needs, in locks that have markers on dependencies only."""

from collections.abc import Iterable, Mapping

from mirror.lockfiles.environments import Environment


def is_needed(markers: Iterable[str], environment: Environment) -> bool:
    """Whether a package is needed that others ask for with these markers; nobody: the project itself does."""
    asked = list(markers)
    return not asked or any(environment.holds(marker) for marker in asked)


def by_name(edges: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    """Normalised name -> the markers of the edges that lead to it."""
    found: dict[str, list[str]] = {}
    for name, marker in edges:
        found.setdefault(name, []).append(marker)
    return found
