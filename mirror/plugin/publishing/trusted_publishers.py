"""The trusted publishers that an administrator declared: CI jobs that may upload, by their ID tokens."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from mirror.plugin.declared_settings import DeclaredSettings

Claims = Mapping[str, Any]


@dataclass(frozen=True)
class TrustedPublisher:
    """Jobs that may upload to an index: those of `issuer` whose ID tokens have all these claims."""

    id: str  # a digest of all the rest: with any change, the tokens that were given end
    index: str
    projects: tuple[str, ...]  # normalised names and patterns (fnmatch)
    issuer: str
    claims: tuple[tuple[str, str], ...]  # compared as they are, case included
    workflow: str | None = None  # path in the repository that "repository" of the claims names
    ref: str | None = None  # a pattern (fnmatch)
    keys: str | None = None  # a JWK set; None: the issuer's discovery document leads to one

    @property
    def owner(self) -> str:
        """The user whose index it is, and so whose tokens jobs get."""
        return self.index.partition("/")[0]

    def takes(self, project: str) -> bool:
        """Whether its jobs may upload `project` (normalised)."""
        return any(fnmatchcase(project, pattern) for pattern in self.projects)

    def is_of(self, claims: Claims) -> bool:
        """Whether a job with these claims, which its issuer has signed, is one of this publisher's."""
        ref = claims.get("ref")
        return (
            claims.get("iss") == self.issuer
            and all(_text(claims.get(name)) == value for name, value in self.claims)
            and (self.ref is None or (isinstance(ref, str) and fnmatchcase(ref, self.ref)))
            and (self.workflow is None or _text(claims.get("job_workflow_ref")) in self._workflows(claims))
        )

    def _workflows(self, claims: Claims) -> set[str]:
        """Values for job_workflow_ref: the file of the repository itself, as the job's own commit has it.

        The public index compares the same (warehouse/oidc/models/github.py): a file of another branch or
        repository, which the workflow calls, is none.
        """
        here = f"{dict(self.claims).get('repository')}/{self.workflow}"
        return {f"{here}@{claims[name]}" for name in ("ref", "sha") if claims.get(name)}


@dataclass(frozen=True)
class TrustedPublishers:
    """All publishers of a server, and the audience that ID tokens must be for."""

    audience: str
    publishers: Sequence[TrustedPublisher]

    def __bool__(self) -> bool:
        return bool(self.publishers)

    def of(self, claims: Claims) -> list[TrustedPublisher]:
        """The publishers that a job with these claims is of."""
        return [publisher for publisher in self.publishers if publisher.is_of(claims)]

    def named(self, ids: Iterable[str]) -> list[TrustedPublisher]:
        """Find the publishers with these ids that are still declared."""
        wanted = set(ids)
        return [publisher for publisher in self.publishers if publisher.id in wanted]

    def keys(self, issuer: str) -> str | None:
        """The JWK set of an issuer that mirror.toml gives one."""
        return next((each.keys for each in self.publishers if each.issuer == issuer), None)

    def knows(self, issuer: object) -> bool:
        """Whether a publisher has this issuer."""
        return any(each.issuer == issuer for each in self.publishers)


def parse(settings: Any) -> TrustedPublishers:
    """An "audience" and "publishers", which are tables as _publisher reads them. Raises ValueError."""
    try:
        return TrustedPublishers(
            str(settings.get("audience", "")), [_publisher(each) for each in settings.get("publishers", ())]
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("publishers are tables of an index, projects, an issuer and claims") from error


def _publisher(found: Mapping[str, Any]) -> TrustedPublisher:
    digest = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
    if not found["projects"] or not found["claims"]:
        raise ValueError("a publisher without projects or claims would be everybody")
    if not isinstance(found["index"], str):
        raise TypeError(found["index"])
    return TrustedPublisher(
        digest[:16],
        found["index"],
        tuple(found["projects"]),
        found["issuer"],
        tuple(sorted(found["claims"].items())),
        found.get("workflow"),
        found.get("ref"),
        None if found.get("keys") is None else json.dumps(found["keys"]),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


PUBLISHERS = DeclaredSettings("publishers", parse)
