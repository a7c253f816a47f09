"""The settings of policies in mirror.toml: `[policy]`, and `[indexes."user/name".policy]` besides it."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import pydantic
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from packhorse import quantities
from packhorse.settings import Settings, array

# As _REQUIREMENT of plugin/policy/names.py has it.
_REQUIREMENT = re.compile(r"([A-Za-z0-9*?._-]*[A-Za-z0-9*?])\s*(.*)", re.ASCII)


def check_requirement(text: str) -> str:
    """`text` if it names projects, and perhaps versions of them. Raises ValueError."""
    found = _REQUIREMENT.fullmatch(text.strip())
    try:
        _ = SpecifierSet(found[2]) if found else None
    except InvalidSpecifier:
        found = None
    if found is None:
        raise ValueError(
            f'"{text}" should be a project or a pattern, perhaps with versions, such as "demo>=1,<2"'
        )
    return text


def check_name(text: str) -> str:
    """`text` if it names projects, without versions. Raises ValueError."""
    found = _REQUIREMENT.fullmatch(text.strip())
    if found is None or found[2]:
        raise ValueError(f'"{text}" should be a project or a pattern, such as "acme-*"')
    return text


def parse_age(value: object) -> object:
    """Seconds of a text such as "7d". Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError('should be a text such as "7d"')  # noqa: TRY004 (pydantic wants a ValueError)
    return quantities.seconds(value)


Age = Annotated[int, pydantic.BeforeValidator(parse_age)]
_Array = array("demo")
Requirements = Annotated[tuple[Annotated[str, pydantic.AfterValidator(check_requirement)], ...], _Array]
ProjectNames = Annotated[tuple[Annotated[str, pydantic.AfterValidator(check_name)], ...], _Array]


Severity = Literal["low", "medium", "high", "critical"]


class Vulnerabilities(Settings):
    """The least severity from which versions are denied, and from which they are only reported."""

    block: Severity | None = None
    report: Severity | None = None


class ExpectedPublisher(Settings):
    """Publisher of a project's files, as a certificate of sigstore proves it."""

    kind: Literal["GitHub", "GitLab", "Google", "CircleCI"]
    repository: str | None = None  # of GitHub and GitLab: "acme/demo"
    workflow: str | None = None  # of GitHub: "release.yml"; any one of the repository without it
    workflow_filepath: str | None = None  # of GitLab
    email: str | None = None  # of Google
    project_id: str | None = None  # of CircleCI
    pipeline_definition_id: str | None = None

    @pydantic.model_validator(mode="after")
    def _has_the_keys_of_its_kind(self) -> Self:
        needed, more = _KEYS_OF_PUBLISHERS[self.kind]
        given = self.model_dump(exclude_none=True, include=_KEYS)
        if needed not in given or given.keys() - {needed, more}:
            keys = f"{needed}, and perhaps {more}" if more else needed
            raise ValueError(f"a publisher of kind {self.kind} has {keys}")
        return self


_KEYS_OF_PUBLISHERS = {
    "GitHub": ("repository", "workflow"),
    "GitLab": ("repository", "workflow_filepath"),
    "Google": ("email", ""),
    "CircleCI": ("project_id", "pipeline_definition_id"),
}
_KEYS = {"repository", "workflow", "workflow_filepath", "email", "project_id", "pipeline_definition_id"}


class Provenance(Settings):
    """Projects of which a provenance is required, and the publisher; without one, the first that is seen."""

    project: Annotated[str, pydantic.AfterValidator(check_requirement)]
    publisher: ExpectedPublisher | None = None


def _from_project(value: object) -> object:
    return {"project": value} if isinstance(value, str) else value


class Licenses(Settings):
    """Licenses (SPDX) that are allowed, None: all, and denied; what happens when nobody knows the license."""

    allow: Annotated[tuple[str, ...], _Array] | None = None
    deny: Annotated[tuple[str, ...], _Array] = ()
    unknown: Literal["allow", "deny"] = "deny"
    exempt: ProjectNames = ()

    @pydantic.field_validator("allow", "deny")
    @classmethod
    def _are_licenses(cls, patterns: tuple[str, ...] | None) -> tuple[str, ...] | None:
        wrong = [each for each in patterns or () if not _LICENSE.fullmatch(each)]
        if wrong:
            raise ValueError(f'"{wrong[0]}" should be an SPDX id or a pattern of ids, such as "BSD-*"')
        return patterns


_LICENSE = re.compile(r"[A-Za-z0-9.+*?-]+( WITH [A-Za-z0-9.+*?-]+)?")


def _check_licenses(value: object) -> object:
    if isinstance(value, str | list):
        raise ValueError('should be a table, such as {allow = ["MIT"]}')  # noqa: TRY004 (pydantic wants a ValueError)
    return value


def _from_severity(value: object) -> object:
    return {"block": value} if isinstance(value, str) else value


class Policy(Settings):
    """The rules that files must pass; each index adds its own to those of the indexes below it."""

    deny: Requirements = ()
    allow: Requirements | None = None  # None: all
    refuse_quarantined: bool = True  # PEP 792
    hide_yanked: bool = False
    vulnerabilities: Annotated[Vulnerabilities, pydantic.BeforeValidator(_from_severity)] = Vulnerabilities()
    sdists: ProjectNames | None = None  # None: of all projects
    licenses: Annotated[Licenses | None, pydantic.BeforeValidator(_check_licenses)] = None
    require_provenance: Annotated[
        tuple[Annotated[Provenance, pydantic.BeforeValidator(_from_project)], ...], _Array
    ] = ()  # PEP 740
    look_alikes: Literal["report", "deny"] = "report"  # upstream projects with names like reserved ones
    minimum_age: Age | None = None  # of upstream files, in seconds
    exempt: Requirements = ()  # from minimum_age
    trust_upload_times: bool = True  # of files on the first page of a project that is seen

    def as_json(self) -> dict[str, Any]:
        """The rules as the server keeps them; those that deny nothing are left out."""
        found = self.model_dump(mode="json", exclude_none=True)
        of_age = {key: found.pop(key) for key in ("exempt", "trust_upload_times")}
        found["look_alikes"] = self.look_alikes == "deny"
        found["vulnerabilities"] = self.vulnerabilities.model_dump(exclude_none=True)
        if self.licenses:
            found["licenses"] = self.licenses.model_dump(mode="json")
        found["require_provenance"] = [
            {
                "project": each.project,
                "publisher": each.publisher and each.publisher.model_dump(exclude_none=True),
            }
            for each in self.require_provenance
        ]
        if "minimum_age" in found:
            found["minimum_age"] = {"seconds": found["minimum_age"], **of_age}
        return {key: value for key, value in found.items() if value not in (False, [], {}) or key in _LISTS}

    @pydantic.model_validator(mode="after")
    def _age_has_its_settings(self) -> Self:
        if self.minimum_age is None and self.model_fields_set & {"exempt", "trust_upload_times"}:
            raise ValueError(
                'exempt and trust_upload_times belong to minimum_age, such as minimum_age = "7d"'
            )
        return self


_LISTS = {"allow", "sdists"}  # an empty one denies most


def needing_advisories(policies: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Indexes whose policies (as the server keeps them) deny by vulnerabilities: all without advisories."""
    levels = {name: rules.get("vulnerabilities", {}).get("least") for name, rules in policies.items()}
    return [name or "all indexes" for name, least in levels.items() if least]
