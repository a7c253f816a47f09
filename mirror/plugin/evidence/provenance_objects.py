"""Provenance objects (PEP 740) of cached files: stored once they were fetched, or brought by a bundle.

    <user>%2F<index>/<sha256 of the file>.<sha256 of its name>    the object as it came

Files of one content may have several names, of several projects; an object is about one of them (PEP 740).
What is stored proves nothing: whoever needs a proof verifies it (verifier.py).
"""

import contextlib
import hashlib
import re
import shutil
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urljoin

import msgspec

from mirror.plugin.evidence.verifier import LARGEST
from mirror.plugin.simple.file_rows import ProjectFile
from mirror.plugin.upstream.client import UpstreamClient, primary_of, read_body, upstream_of
from packhorse import files

_SHA256 = re.compile(r"[0-9a-f]{64}")


class InvalidProvenanceError(ValueError):
    """A text that is no provenance object; says why."""


class _Attestation(msgspec.Struct):
    version: Literal[1]
    verification_material: dict[str, Any]
    envelope: dict[str, Any]


class _Bundle(msgspec.Struct):
    publisher: dict[str, Any]
    attestations: list[_Attestation]


class _Object(msgspec.Struct):
    version: Literal[1]
    attestation_bundles: list[_Bundle]


_decode = msgspec.json.Decoder(_Object).decode


def check(content: bytes) -> None:
    """Raise InvalidProvenanceError for what no client could read as a provenance object."""
    if len(content) > LARGEST:
        raise InvalidProvenanceError(f"it has more than {LARGEST} bytes")
    try:
        found = _decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidProvenanceError(f"it is no provenance object: {error}") from error
    if not any(bundle.attestations for bundle in found.attestation_bundles):
        raise InvalidProvenanceError("it has no attestation")


class ProvenanceObjects:
    """The objects of one server folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, index: str, filename: str, sha256: str) -> bytes | None:
        """The object of a file with this hash on an index "user/name"; None when it is not here."""
        try:
            return self._path(index, filename, sha256).read_bytes() if _SHA256.fullmatch(sha256) else None
        except FileNotFoundError:
            return None

    def fetch(self, client: UpstreamClient, stage: Any, project: str, file: ProjectFile) -> bytes:
        """The object that the upstream has of `file` now. Raises GatewayError, and OSError on a full disk."""
        url, upstream = str(file.provenance), upstream_of(stage)
        if not url.startswith(("https://", "http://")):  # relative to the page that has it
            if stage.xom.is_replica():
                upstream = primary_of(stage.xom)
                url = stage.xom.config.primary_url.joinpath(f"{file.path}.provenance").url
            else:
                url = urljoin(f"{upstream.url}{project}/", url)
        with client.stream(url, upstream) as answer:
            content = read_body(answer, LARGEST)
        with contextlib.suppress(InvalidProvenanceError):  # whoever verifies it says what is wrong
            self.keep(stage.name, file.filename, file.hashes.get("sha256", ""), content)
        return content

    def keep(self, index: str, filename: str, sha256: str, content: bytes) -> None:
        """Store an object. Raises InvalidProvenanceError, OSError."""
        check(content)
        if not _SHA256.fullmatch(sha256):
            raise InvalidProvenanceError("its file has no sha256")
        path = self._path(index, filename, sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_whole(path, content)

    def forget(self, index: str, filename: str, sha256: str) -> None:
        """Remove the object of a file that is removed itself."""
        if _SHA256.fullmatch(sha256):
            self._path(index, filename, sha256).unlink(missing_ok=True)

    def remove_index(self, index: str) -> None:
        """Forget an index that is deleted."""
        shutil.rmtree(self._folder / quote(index, ""), ignore_errors=True)

    def _path(self, index: str, filename: str, sha256: str) -> Path:
        name = hashlib.sha256(filename.encode(errors="surrogatepass")).hexdigest()
        return self._folder / quote(index, "") / f"{sha256}.{name}"
