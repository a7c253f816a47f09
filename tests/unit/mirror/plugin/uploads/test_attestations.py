"""Attestations that come with an upload: those of the file, and what is none."""

import base64
import json
from typing import Any

import pytest

from mirror.plugin.uploads import attestations
from mirror.plugin.uploads.attestations import InvalidAttestationsError
from tests.support.dists import attestation, wheel

DIST = wheel("demo", "1.0")


def _parse(*found: Any) -> list[Any]:  # noqa: ANN401 (JSON)
    return attestations.parse(json.dumps(list(found)), DIST.filename, DIST.sha256)


def _stating(statement: bytes) -> dict[str, Any]:
    envelope = {"signature": "", "statement": base64.b64encode(statement).decode()}
    return attestation(DIST) | {"envelope": envelope}


def test_attestations_of_the_file_are_kept_as_they_are() -> None:
    """Signatures cover bytes that only their verifiers look into."""
    assert _parse(attestation(DIST), attestation(DIST)) == [attestation(DIST)] * 2
    (bundle,) = attestations.provenance([attestation(DIST)], "company")["attestation_bundles"]
    assert bundle["publisher"]["kind"] == "devpi-server"
    assert bundle["attestations"] == [attestation(DIST)]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([], "no list"),
        (["text"], "no attestation object"),
        ([{"version": 1}], "no attestation object"),
        ([attestation(DIST) | {"version": 2}], "another version"),
        ([attestation(wheel("demo", "2.0"))], "something else"),
        ([attestation(DIST) | {"envelope": {"signature": "", "statement": "!"}}], "no attestation object"),
        ([attestation(DIST) | {"envelope": {"signature": "", "statement": "e30="}}], "no attestation object"),
        ([attestation(DIST) | {"envelope": {"signature": "", "statement": "e30"}}], "no attestation object"),
        ([attestation(DIST) | {"envelope": {"signature": "", "statement": "é"}}], "no attestation object"),
        ([_stating(b"9" * 5000)], "no attestation object"),  # more digits than Python reads
        ([_stating(b"[" * 100_000)], "no attestation object"),
        ([attestation(DIST) | {"more": float("nan")}], "NaN"),
        ([attestation(DIST) | {"more": json.loads("[" * 60 + "]" * 60)}], "levels"),
    ],
)
def test_what_is_no_attestation_of_the_file_says_why(found: list[Any], reason: str) -> None:
    """Whoever uploads learns it, not whoever verifies."""
    with pytest.raises(InvalidAttestationsError, match=reason):
        _parse(*found)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, " " * 300_000])
def test_text_that_is_none_says_why(text: str) -> None:
    """Also text that Python's reader would not survive."""
    with pytest.raises(InvalidAttestationsError):
        attestations.parse(text, DIST.filename, DIST.sha256)


@pytest.mark.parametrize("said", ["日本", "1\r\nSet-Cookie: a=b", "<script>", "x" * 100_000])
def test_a_refusal_repeats_nothing_of_what_was_sent(said: str) -> None:
    """It becomes the status line of the answer, and a title in HTML."""
    other = json.dumps({"subject": [{"name": said, "digest": {"sha256": "0"}}]}, ensure_ascii=False)
    for found in (attestation(DIST) | {"version": said}, _stating(other.encode())):
        with pytest.raises(InvalidAttestationsError) as refused:
            _parse(found)
        assert said not in str(refused.value)
        assert str(refused.value).isascii()
