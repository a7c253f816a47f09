"""Tests of the verification of real provenance objects, offline."""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mirror.plugin.evidence import verifier
from mirror.plugin.evidence.verifier import UnavailableError, Verifier

ATTESTED = Path(__file__).parents[4] / "support" / "attested"
NAME = "pypi_attestations-0.0.19.tar.gz"
SHA256 = "9bb1add04b1b4e182be6b0b80931593f7a291eb49d69b4fd728a5d4cbcdc4bd3"
OWNER = {"kind": "GitHub", "repository": "trailofbits/pypi-attestations", "workflow": "release.yml"}
CONTENT = (ATTESTED / f"{NAME}.provenance").read_bytes()


@pytest.fixture(scope="module")
def real() -> Iterator[Verifier]:
    """With the trust root inside sigstore."""
    found = Verifier(Path("/nonexistent"))
    yield found
    found.end()


def changed(change: Callable[[Any], object]) -> bytes:
    found = json.loads(CONTENT)
    change(found["attestation_bundles"])
    return json.dumps(found).encode()


def test_a_real_provenance_verifies_for_its_publisher(
    real: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is asked, and nothing is written for that: there is no network and no home."""
    monkeypatch.setenv("HOME", "/nonexistent")
    assert real.verify(NAME, SHA256, CONTENT) == ((OWNER,), "")
    twice = changed(
        lambda bundles: bundles.append({**bundles[0], "publisher": {**OWNER, "workflow": "x.yml"}})
    )
    assert real.verify(NAME, SHA256, twice) == ((OWNER,), "")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is none"),
        (b"[" * 100_000, "is none"),
        (b"\xff\xfe", "is none"),
        (changed(list.clear), "has no attestation of a publisher"),
        (changed(lambda bundles: bundles[0]["attestations"].clear()), "has no attestation of a publisher"),
        (changed(lambda bundles: bundles.extend(bundles * 20)), "has more than 20 attestations"),
        (
            changed(lambda bundles: bundles[0]["publisher"].update(repository="acme/demo")),
            "does not verify: Verification failed: Certificate's OIDCSourceRepositoryURI",
        ),
        (
            changed(lambda bundles: bundles[0]["attestations"][0]["envelope"].update(signature="MEUC")),
            "does not verify: Verification failed: DSSE: invalid signature",
        ),
        (
            changed(
                lambda bundles: bundles[0]["attestations"][0]["verification_material"].update(
                    certificate="AAAA"
                )
            ),
            "does not verify: invalid X.509 certificate",
        ),
        (
            changed(
                lambda bundles: bundles[0]["attestations"][0]["verification_material"].update(
                    transparency_entries=[{}]
                )
            ),
            "does not verify: invalid transparency log entry",
        ),
    ],
    ids=str,
)
def test_what_proves_nothing_is_told(real: Verifier, content: bytes, problem: str) -> None:
    """Strangers write it."""
    found = real.verify(NAME, SHA256, content)
    assert found.publishers == ()
    assert found.problem.startswith(problem)


def test_what_a_certificate_does_not_prove_is_no_part_of_the_publisher(real: Verifier) -> None:
    """Whoever wrote the bundle could state any environment, and a rule would compare it."""
    stated = changed(lambda bundles: bundles[0]["publisher"].update(environment="release"))
    assert real.verify(NAME, SHA256, stated).publishers == (OWNER,)
    wheel = "circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl"
    digest = hashlib.sha256((ATTESTED / wheel).read_bytes()).hexdigest()
    (found,) = real.verify(wheel, digest, (ATTESTED / f"{wheel}.provenance").read_bytes()).publishers
    assert sorted(found) == ["kind", "pipeline_definition_id", "project_id"]


def test_all_attestations_of_a_bundle_must_verify_and_of_several_bundles_one(real: Verifier) -> None:
    """A wrong attestation beside a right one is a bundle that somebody changed."""

    def spoiled(bundle: Any) -> Any:  # noqa: ANN401 (JSON)
        copy = json.loads(json.dumps(bundle))
        copy["attestations"][0]["envelope"]["signature"] = "MEUC"
        return copy

    beside = changed(
        lambda bundles: bundles[0]["attestations"].append(spoiled(bundles[0])["attestations"][0])
    )
    assert real.verify(NAME, SHA256, beside).publishers == ()
    assert "invalid signature" in real.verify(NAME, SHA256, beside).problem
    first = changed(lambda bundles: bundles.insert(0, spoiled(bundles[0])))
    assert real.verify(NAME, SHA256, first) == ((OWNER,), "")


def test_twenty_attestations_are_verified_and_one_more_is_not(real: Verifier) -> None:
    """Each takes time of a process that serves all projects."""

    def times(count: int) -> bytes:
        return changed(lambda bundles: bundles[0].update(attestations=bundles[0]["attestations"] * count))

    assert real.verify(NAME, SHA256, times(20)).publishers == (OWNER,)
    assert real.verify(NAME, SHA256, times(21)).problem == "has more than 20 attestations"


def test_another_file_has_no_part_in_it(real: Verifier) -> None:
    """By its name and by its hash."""
    assert "distribution digest" in real.verify(NAME, "0" * 64, CONTENT).problem
    assert "distribution name" in real.verify(NAME.replace("19", "20"), SHA256, CONTENT).problem
    assert "is none" in real.verify("demo-1.0.exe", SHA256, CONTENT).problem


def test_a_trust_root_of_ones_own_counts_instead(tmp_path: Path) -> None:
    """A damaged one, too: nothing verifies then."""
    root = tmp_path / "trusted_root.json"
    mine = Verifier(root)
    try:
        assert mine.verify(NAME, SHA256, CONTENT).publishers
        root.write_text("{}")
        assert not mine.verify(NAME, SHA256, CONTENT).publishers
    finally:
        mine.end()


def test_a_process_that_died_is_started_again(real: Verifier) -> None:
    """Memory may run out."""
    real.verify(NAME, SHA256, CONTENT)
    assert real._child
    real._child._process.kill()
    real._child._process.wait()
    assert real.verify(NAME, SHA256, CONTENT).publishers == (OWNER,)


def test_without_pypi_attestations_nothing_verifies(real: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setattr(verifier, "PACKAGE", "pypi_attestations_that_is_missing")
    with pytest.raises(UnavailableError, match=r"packhorse\[provenance\] is not installed"):
        real.verify(NAME, SHA256, CONTENT)
    assert "pypi_attestations" not in sys.modules  # the server's memory is for other things
