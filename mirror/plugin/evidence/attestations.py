"""Verify provenance objects (PEP 740) by pypi-attestations; only the verifier's process loads this."""

import importlib.resources
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import pypi_attestations
import sigstore.models
import sigstore.verify
from cryptography.exceptions import UnsupportedAlgorithm
from pydantic import ValidationError
from pypi_attestations import Attestation, AttestationError, AttestationType, Distribution, Provenance
from sigstore.errors import Error as SigstoreError

_ = vars(pypi_attestations._impl)["Verifier"]  # noqa: SLF001 (replaced below: another version may have none)
MOST = 20  # attestations of one file
# What a certificate does not prove, or only is there for people.
_UNPROVEN = {"environment", "vcs_origin", "vcs_ref"}
# What pypi-attestations, pyasn1, cryptography and pydantic raise for bytes that are no attestation.
_ERRORS = (
    AttestationError,
    SigstoreError,
    ValidationError,
    UnsupportedAlgorithm,
    ValueError,
    TypeError,
    LookupError,
)


def verify(filename: str, sha256: str, content: bytes, root: str) -> tuple[list[dict[str, str]], str]:
    """The publishers for whom all attestations of a bundle verify, or why there is none.

    A bundle needs one attestation at least that says that its publisher published the file. `root` is the
    path of a trust root, "" for the one inside sigstore. Nobody is asked.
    """
    try:
        found = Provenance.model_validate_json(content)
        file = Distribution(name=filename, digest=sha256)
    except (ValidationError, ValueError, RecursionError) as error:
        return [], f"is none: {_short(error)}"
    if sum(len(bundle.attestations) for bundle in found.attestation_bundles) > MOST:
        return [], f"has more than {MOST} attestations"
    publishers, problem = [], "has no attestation of a publisher"
    for bundle in found.attestation_bundles:
        try:
            kinds = [_verify(each, bundle.publisher, file, root) for each in bundle.attestations]
        except _ERRORS as error:
            problem = f"does not verify: {_short(error)}"
            continue
        if AttestationType.PYPI_PUBLISH_V1.value in kinds:  # what every file that is published has (PEP 740)
            publishers.append(_proven(bundle.publisher))
    return publishers, "" if publishers else problem


def _verify(attestation: Attestation, publisher: Any, file: Distribution, root: str) -> str:
    """The predicate type of an attestation that verifies."""
    # pypi-attestations knows no trust root but sigstore's own, which it reads from a folder of the user's.
    setattr(pypi_attestations._impl, "Verifier", _FixedRoot(root))  # noqa: B010, SLF001 (so does mypy not mind)
    kind, _ = attestation.verify(publisher, file, offline=True)
    return kind


class _FixedRoot:
    """In the place of sigstore's Verifier, with a trust root from a file."""

    def __init__(self, root: str) -> None:
        self._root = root

    def production(self, *, offline: bool) -> sigstore.verify.Verifier:
        """Replace Verifier.production, which with `offline` asks nobody."""
        del offline
        return _verifier(self._root)


@lru_cache(maxsize=1)
def _verifier(root: str) -> sigstore.verify.Verifier:
    return sigstore.verify.Verifier(trusted_root=sigstore.models.TrustedRoot.from_file(root or _own_root()))


def _own_root() -> str:
    """The trust root inside sigstore, which renews it with its releases."""
    from sigstore._internal.tuf import DEFAULT_TUF_URL

    return str(
        importlib.resources.files("sigstore") / "_store" / quote(DEFAULT_TUF_URL, "") / "trusted_root.json"
    )


def _proven(publisher: Any) -> dict[str, str]:
    stated = publisher.model_dump(exclude_none=True, exclude=_UNPROVEN)
    return {key: str(value) for key, value in stated.items()}


def _short(error: Exception) -> str:
    lines = str(error).split("\n")
    return lines[0][:200]
