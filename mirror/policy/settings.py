"""The settings of policies in mirror.toml: `[policy]`, and `[indexes."user/name".policy]` besides it."""

import re
from typing import Annotated, Any

import pydantic
from packaging.specifiers import InvalidSpecifier, SpecifierSet

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


_Array = pydantic.BeforeValidator(_freeze_array)
Requirements = Annotated[tuple[Annotated[str, pydantic.AfterValidator(check_requirement)], ...], _Array]
ProjectNames = Annotated[tuple[Annotated[str, pydantic.AfterValidator(check_name)], ...], _Array]


class Policy(Settings):
    """The rules that files must pass; each index adds its own to those of the indexes below it."""

    deny: Requirements = ()
    allow: Requirements | None = None  # None: all
    refuse_quarantined: bool = True  # PEP 792
    hide_yanked: bool = False
    sdists: ProjectNames | None = None  # None: of all projects

    def as_json(self) -> dict[str, Any]:
        """The rules as the server keeps them; those that deny nothing are left out."""
        found = self.model_dump(mode="json", exclude_none=True)
        return {key: value for key, value in found.items() if value not in (False, []) or key in _LISTS}


_LISTS = {"allow", "sdists"}  # an empty one denies most
