"""The settings of publishers in mirror.toml: `[[publishers]]`, each a CI job that may upload to an index."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import pydantic
from packaging.utils import canonicalize_name

from packhorse.errors import PackhorseError
from packhorse.settings import AbsolutePath, Settings, array, matching

_RESERVED = {"iss", "aud", "exp", "nbf", "iat", "jti"}  # claims that are checked anyway
_WORKFLOWS = ".github/workflows/"


def _check_project(name: str) -> str:
    """The normalised form of a name or a pattern. Raises ValueError."""
    normalized = canonicalize_name(name)
    if not re.fullmatch(r"[a-z0-9*?-]{1,255}", normalized):
        raise ValueError(f'"{name}" should be a project or a pattern, such as "acme-*"')
    return normalized


Projects = Annotated[
    tuple[Annotated[str, pydantic.AfterValidator(_check_project)], ...],
    array("acme-*"),
    pydantic.Field(min_length=1),
]
Text = Annotated[str, matching(r"[^\x00-\x1f\x7f]+", "a text without control characters")]


class TrustedPublisherSettings(Settings):
    """Jobs that may upload `projects` to `index`: those whose ID token has all of what is stated here.

    Values are compared as they are, case included; `ref` is a pattern (fnmatch).
    """

    index: str
    projects: Projects
    issuer: Annotated[
        str,
        matching(r"https?://[A-Za-z0-9_.:\[\]-]+(/[!-~]*)?", 'an address, such as "https://ci.example.com"'),
    ]
    repository: Text | None = None
    workflow: (
        Annotated[str, matching(r"[A-Za-z0-9_.][A-Za-z0-9_./-]*", 'a file such as "release.yml"')] | None
    ) = None
    environment: Text | None = None
    ref: Text | None = None
    claims: dict[str, Text] = pydantic.Field(default_factory=dict)
    keys: AbsolutePath | None = None  # a JWK set; None: the issuer is asked

    @pydantic.model_validator(mode="after")
    def _names_a_job(self) -> Self:
        if (self.repository is None) != (self.workflow is None):
            raise ValueError("repository and workflow belong together")
        if self.repository is None and not self.claims:
            raise ValueError("name the job: repository and workflow, or claims of its ID token")
        if wrong := sorted(self.claims.keys() & {*_RESERVED, "repository", "environment", "ref"}):
            raise ValueError(f"claims.{wrong[0]} is checked by a key of its own, or always")
        return self

    def as_json(self, keys: object) -> dict[str, Any]:
        """The publisher as the server keeps it; `keys` is the JWK set of its file."""
        own = {"repository": self.repository, "environment": self.environment}
        found = {
            "index": self.index,
            "projects": list(self.projects),
            "issuer": self.issuer,
            "claims": {**{name: value for name, value in own.items() if value is not None}, **self.claims},
            "workflow": self.workflow
            and (self.workflow if "/" in self.workflow else f"{_WORKFLOWS}{self.workflow}"),
            "ref": self.ref,
            "keys": keys,
        }
        return {name: value for name, value in found.items() if value is not None}


def as_json(publishers: Sequence[TrustedPublisherSettings], audience: str) -> dict[str, Any]:
    """All publishers as the server keeps them, with the keys in their files; {} without any.

    Raises PackhorseError for a file that cannot be read.
    """
    if not publishers:
        return {}
    listed = [each.as_json(_read(each.keys) if each.keys else None) for each in publishers]
    return {"audience": audience, "publishers": listed}


def _read(path: str) -> object:
    try:
        found = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise PackhorseError(
            f"publishers.keys: {path} is no JWK set: {error}",
            "Save what the issuer has at its jwks_uri there.",
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("keys"), list):
        raise PackhorseError(
            f'publishers.keys: {path} is no JWK set: it has no array "keys".',
            "Save what the issuer has at its jwks_uri there.",
        )
    return found
