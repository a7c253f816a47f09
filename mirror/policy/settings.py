"""The settings of policies in mirror.toml: `[policy]`, and `[indexes."user/name".policy]` besides it."""

import re
from typing import Annotated, Any, Literal, Self

import pydantic
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from packhorse import quantities
from packhorse.settings import Settings

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


def _freeze_array(value: object) -> object:
    if isinstance(value, str):
        raise ValueError('should be an array, such as ["demo"]')  # noqa: TRY004 (pydantic wants a ValueError)
    return tuple(value) if isinstance(value, list) else value


def parse_age(value: object) -> object:
    """Seconds of a text such as "7d". Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError('should be a text such as "7d"')  # noqa: TRY004 (pydantic wants a ValueError)
    return quantities.seconds(value)


Age = Annotated[int, pydantic.BeforeValidator(parse_age)]
_Array = pydantic.BeforeValidator(_freeze_array)
Requirements = Annotated[tuple[Annotated[str, pydantic.AfterValidator(check_requirement)], ...], _Array]
ProjectNames = Annotated[tuple[Annotated[str, pydantic.AfterValidator(check_name)], ...], _Array]


Severity = Literal["low", "medium", "high", "critical"]


class Vulnerabilities(Settings):
    """The least severity from which versions are denied, and from which they are only reported."""

    block: Severity | None = None
    report: Severity | None = None


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
