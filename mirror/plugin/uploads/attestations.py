"""Attestations that come with an upload, and the provenance object that they are served as (PEP 740)."""

import base64
import json
from typing import Any

LARGEST = 256 * 1024  # bytes of the attestations of one file; one has about six thousand
DEEPEST = 50  # levels; attestations have six, and Python reads a thousand if few calls are on its stack
MEDIA_TYPE = "application/vnd.pypi.integrity.v1+json"


class InvalidAttestationsError(ValueError):
    """The attestations of an upload are not those of its file; says why."""


def parse(text: str, filename: str, sha256: str) -> list[Any]:
    """The attestations in the form field `text`, of the file with this name and hash.

    Signatures are for those who verify: this looks at what the attestations are about, so that one of
    another file is refused at once. Raises InvalidAttestationsError.
    """
    if len(text) > LARGEST:
        raise InvalidAttestationsError(f"more than {LARGEST} bytes")
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidAttestationsError(f"no JSON: {error}") from error
    if _is_deeper(found, DEEPEST):
        raise InvalidAttestationsError(f"more than {DEEPEST} levels")
    if not isinstance(found, list) or not found:
        raise InvalidAttestationsError("no list of attestations")
    for attestation in found:
        _check(attestation, {"name": filename, "digest": {"sha256": sha256}})
    return found


def _refuse_constant(name: str) -> None:
    """Python reads and writes NaN and Infinity, which are no JSON: clients could not read the provenance."""
    raise ValueError(name)


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether more than `levels` lists and objects are in each other."""
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return members is not None and (levels == 0 or any(_is_deeper(each, levels - 1) for each in members))


def _check(attestation: Any, subject: dict[str, Any]) -> None:
    """One attestation object of PEP 740, whose statement (in-toto v1) is about `subject` and nothing else."""
    try:
        is_known = attestation["version"] == 1
        attestation["verification_material"]["certificate"]
        attestation["envelope"]["signature"]
        statement = json.loads(base64.b64decode(attestation["envelope"]["statement"], validate=True))
        subjects = [
            {"name": each["name"], "digest": {"sha256": each["digest"]["sha256"]}}
            for each in statement["subject"]
        ]
    except (TypeError, KeyError, ValueError, RecursionError) as error:  # base64's and json's are ValueErrors
        raise InvalidAttestationsError(f"no attestation object of PEP 740: {error!r}") from error
    if not is_known:
        raise InvalidAttestationsError("an attestation of another version than 1")
    if subjects != [subject]:
        raise InvalidAttestationsError("an attestation of something else")


def provenance(attestations: list[Any], user: str) -> Any:
    """The provenance object; its publisher is the user of this server who uploaded the file."""
    publisher = {"kind": "devpi-server", "claims": None, "user": user}
    bundle = {"publisher": publisher, "attestations": attestations}
    return {"version": 1, "attestation_bundles": [bundle]}
