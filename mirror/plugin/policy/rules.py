"""Rules by name and version, kind of file, yank and project status."""

from collections.abc import Mapping, Sequence
from functools import partial

from mirror.plugin.policy import licenses, names, provenance, vulnerabilities
from mirror.plugin.policy.age import MinimumAge
from mirror.plugin.policy.evaluation import Builder, Fact, Judge, PolicyRule, Refusal
from mirror.plugin.policy.facts import FileFacts, ProjectFacts
from mirror.plugin.policy.look_alikes import LookAlikes
from mirror.plugin.policy.names import Named


class Deny:
    """Projects and versions that nobody gets, whoever made them."""

    name, judges_uploads = "deny", True
    decides_by: tuple[Fact, ...] = ()

    def __init__(self, denied: Sequence[str]) -> None:
        self._denied = names.parse_all(denied)

    def about(self, project: ProjectFacts, now: float) -> Judge | None:  # noqa: ARG002 (as PolicyRule has it)
        mine = names.those_of(self._denied, project.name)
        return partial(_denied, mine) if mine else None

    def describe(self) -> str:
        return f"not listed, also as uploads: {_listed(self._denied)}"


def _denied(mine: Sequence[Named], file: FileFacts) -> Refusal | None:
    for named in mine:
        meant = named.has_version(file)
        if meant is None:
            return Refusal(f"{named} is denied, and {file.filename} does not say of which version it is")
        if meant:
            return Refusal(f"{named} is denied; use another project or version, or ask who keeps the mirror")
    return None


class Allow:
    """The only upstream projects and versions that are listed."""

    name, judges_uploads = "allow", False
    decides_by: tuple[Fact, ...] = ()

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = names.parse_all(allowed)

    def about(self, project: ProjectFacts, now: float) -> Judge | None:  # noqa: ARG002 (as PolicyRule has it)
        mine = names.those_of(self._allowed, project.name)
        if any(named.versions is None for named in mine):
            return None
        return partial(_not_allowed, mine)

    def describe(self) -> str:
        return f"of upstreams, only these are listed: {_listed(self._allowed)}"


def _not_allowed(mine: Sequence[Named], file: FileFacts) -> Refusal | None:
    if any(named.has_version(file) for named in mine):
        return None
    if not mine:
        return Refusal(f"{file.project.name} is not among the projects that are allowed; ask to add it")
    return Refusal(f"only {_listed(mine)} is allowed; ask to add another version")


class Sdists:
    """The projects whose sdists are listed; of others, wheels are. A build runs the project's code."""

    name, judges_uploads = "sdists", False
    decides_by: tuple[Fact, ...] = ()

    def __init__(self, wanted: Sequence[str]) -> None:
        self._wanted = names.parse_all(wanted)

    def about(self, project: ProjectFacts, now: float) -> Judge | None:  # noqa: ARG002 (as PolicyRule has it)
        is_fine = names.those_of(self._wanted, project.name) or (
            project.page is not None and project.page.summary.has_wheels_only
        )
        return None if is_fine else _no_wheel

    def describe(self) -> str:
        return f"files that are no wheels are listed of: {_listed(self._wanted)}"


def _no_wheel(file: FileFacts) -> Refusal | None:
    if file.is_wheel:
        return None
    return Refusal(f"{file.filename} is no wheel; take a version with one, or ask to add its project")


class HideYanked:
    """Files that were yanked (PEP 592) are not even for those who pinned them."""

    name, judges_uploads = "hide_yanked", False
    decides_by: tuple[Fact, ...] = ()

    def about(self, project: ProjectFacts, now: float) -> Judge | None:  # noqa: ARG002 (as PolicyRule has it)
        if project.page is not None and not project.page.summary.has_yanks:
            return None
        return _yanked if project.is_listed else _unlisted

    def describe(self) -> str:
        return "yanked files of upstreams are not listed"


def _yanked(file: FileFacts) -> Refusal | None:
    if file.yanked is False:
        return None
    words = f": {file.yanked}" if isinstance(file.yanked, str) else ""
    return Refusal(f"{file.filename} was yanked{words}; take another version")


def _unlisted(file: FileFacts) -> Refusal:
    return Refusal(f"no page lists {file.filename} any more: whether it was yanked cannot be evaluated")


class Quarantine:
    """Projects that their index has quarantined (PEP 792) are refused."""

    name, judges_uploads = "refuse_quarantined", False
    decides_by: tuple[Fact, ...] = ()

    def about(self, project: ProjectFacts, now: float) -> Judge | None:  # noqa: ARG002 (as PolicyRule has it)
        if not project.is_known:
            return _no_page
        if project.status.get("status") != "quarantined":
            return None
        reason = project.status.get("reason")
        words = f": {reason}" if reason else ""
        refusal = Refusal(f"{project.name} is quarantined by its index{words}; wait until that is over")
        return lambda _: refusal

    def describe(self) -> str:
        return "projects that their index has quarantined are not listed"


def _no_page(file: FileFacts) -> Refusal:
    return Refusal(
        f"no page of {file.project.name} is here or can be had: whether it is quarantined cannot be evaluated"
    )


def _listed(named: Sequence[Named]) -> str:
    return ", ".join(map(str, named)) or "none"


def _switch(rule: type[PolicyRule], value: object) -> PolicyRule | None:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return rule() if value else None


# By their keys in mirror.toml, which mirror/policy/settings.py checks.
BUILDERS: Mapping[str, Builder] = {
    "deny": Deny,
    "allow": Allow,
    "refuse_quarantined": partial(_switch, Quarantine),
    "hide_yanked": partial(_switch, HideYanked),
    "sdists": Sdists,
    "minimum_age": MinimumAge.of,
    "vulnerabilities": vulnerabilities.build,
    "require_provenance": provenance.build,
    "licenses": licenses.build,
    "look_alikes": partial(_switch, LookAlikes),
}
