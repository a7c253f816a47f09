"""Provenance objects as they are kept: what is none is refused, whoever brings it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from mirror.plugin.evidence.provenance_objects import InvalidProvenanceError, ProvenanceObjects
from mirror.plugin.evidence.verifier import LARGEST

SHA256 = "ab" * 32
NAME = "demo-1.0-py3-none-any.whl"
ATTESTATION: dict[str, Any] = {"version": 1, "verification_material": {}, "envelope": {}}
BUNDLE: dict[str, Any] = {"publisher": {"kind": "GitHub"}, "attestations": [ATTESTATION]}
OBJECT: dict[str, Any] = {"version": 1, "attestation_bundles": [BUNDLE], "more": None}


def test_an_object_is_kept_as_it_came_until_its_file_or_index_goes(tmp_path: Path) -> None:
    """The same bytes go into bundles."""
    objects, content = ProvenanceObjects(tmp_path / "objects"), msgspec.json.encode(OBJECT) + b"\n"
    assert objects.read("root/pypi", NAME, SHA256) is None
    for index in ("root/pypi", "root/other"):
        objects.keep(index, NAME, SHA256, content)
    objects.forget("root/pypi", NAME, SHA256)
    objects.forget("root/pypi", NAME, SHA256)
    assert objects.read("root/pypi", NAME, SHA256) is None
    assert ProvenanceObjects(tmp_path / "objects").read("root/other", NAME, SHA256) == content
    objects.remove_index("root/other")
    assert objects.read("root/other", NAME, SHA256) is None


def test_files_of_one_content_have_objects_of_their_own(tmp_path: Path) -> None:
    """An attestation is about a name, too (PEP 740): of another file it would prove nothing."""
    objects = ProvenanceObjects(tmp_path)
    mine, other = msgspec.json.encode(OBJECT), msgspec.json.encode({**OBJECT, "more": 1})
    objects.keep("root/pypi", NAME, SHA256, mine)
    assert objects.read("root/pypi", "other-1.0.zip", SHA256) is None
    objects.keep("root/pypi", "other-1.0.zip", SHA256, other)
    assert objects.read("root/pypi", NAME, SHA256) == mine
    objects.forget("root/pypi", NAME, SHA256)
    assert objects.read("root/pypi", "other-1.0.zip", SHA256) == other


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"version":1}',
        msgspec.json.encode({**OBJECT, "version": 2}),
        msgspec.json.encode({**OBJECT, "attestation_bundles": []}),
        msgspec.json.encode({**OBJECT, "attestation_bundles": [{**BUNDLE, "attestations": []}]}),
        msgspec.json.encode({**OBJECT, "attestation_bundles": [{**BUNDLE, "publisher": "GitHub"}]}),
        msgspec.json.encode(
            {**OBJECT, "attestation_bundles": [{**BUNDLE, "attestations": [{"version": 1}]}]}
        ),
        msgspec.json.encode(OBJECT) + b" " * LARGEST,
    ],
)
def test_what_is_no_provenance_object_is_refused(tmp_path: Path, content: bytes) -> None:
    """It would be served to clients as one."""
    objects = ProvenanceObjects(tmp_path)
    with pytest.raises(InvalidProvenanceError):
        objects.keep("root/pypi", NAME, SHA256, content)
    assert objects.read("root/pypi", NAME, SHA256) is None


@pytest.mark.parametrize("sha256", ["", "../../x", "AB" * 32, SHA256 + "0"])
def test_only_a_hash_names_an_object(tmp_path: Path, sha256: str) -> None:
    """It is the name of a file."""
    objects = ProvenanceObjects(tmp_path)
    with pytest.raises(InvalidProvenanceError):
        objects.keep("root/pypi", NAME, sha256, msgspec.json.encode(OBJECT))
    assert objects.read("root/pypi", NAME, sha256) is None
    objects.forget("root/pypi", NAME, sha256)
