"""Software bill of materials: packages as CycloneDX 1.6 in JSON; the same input gives the same bytes."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import UUID, uuid5

from packaging.metadata import parse_email
from packaging.pylock import Package, PackageSdist, PackageWheel, Pylock
from packaging.utils import canonicalize_name

from packhorse import metadata_headers

if TYPE_CHECKING:
    from cyclonedx.model import ExternalReference
    from cyclonedx.model.component import Component, ComponentType

NAME = "sboms/packhorse.cdx.json"  # in a wheel's dist-info (PEP 770)
LONGEST_LICENSE = 200
_NAMESPACE = UUID("0d2c1f4e-6a55-4c0e-9f2b-6d1f3c1b7a52")  # of our serial numbers
_HEX_LENGTHS = {"md5": 32, "sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128}
_NO_LICENSES = ("UNKNOWN", "")  # what old tools wrote where none was stated


@dataclass(frozen=True, order=True)
class File:
    """A wheel or an sdist: its name, "" where a lock has none, and its hashes, such as ("sha256", "…")."""

    filename: str
    hashes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, order=True)
class Part:
    """A version of a package: a component of the document. `license` is an SPDX expression, or some text."""

    name: str
    version: str
    files: tuple[File, ...] = ()
    license: str = ""

    @property
    def purl(self) -> str:
        """The package's URL (purl-spec), which names it in the document."""
        return f"pkg:pypi/{quote(canonicalize_name(self.name))}@{quote(self.version, safe='')}"


def of_lock(lock: Pylock) -> list[Part]:
    """All packages of a lock, for whichever Python and platform they are."""
    return [_locked(package) for package in lock.packages]


def of_metadata(content: bytes) -> Part:
    """The package that METADATA or PKG-INFO describes, with its license."""
    metadata, _ = parse_email(metadata_headers.split(content).headers)
    # Before PEP 639 a license was named, or a whole text, or only among the classifiers.
    named = [metadata.get("license_expression", ""), metadata.get("license", "")]
    for classifier in metadata.get("classifiers", []):
        kind, _, name = classifier.rpartition(" :: ")
        if kind.startswith("License"):
            named.append(name)
    found = [text.strip() for text in named if text.strip().upper() not in _NO_LICENSES]
    usable = (text for text in found if len(text) <= LONGEST_LICENSE and "\n" not in text)
    return Part(metadata.get("name", ""), metadata.get("version", ""), (), next(usable, ""))


def document(subject: Part | None, parts: Iterable[Part]) -> bytes:
    """The document about `subject`, which consists of `parts`; None: they belong together, as in a lock.

    It has neither a time nor a random number: its serial number is a hash of what it says.
    """
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    listed = sorted(_merged(parts))
    components = [_component(part, ComponentType.LIBRARY) for part in listed]
    serial = uuid5(_NAMESPACE, repr((subject, listed)))
    bom = Bom(components=components, serial_number=serial)
    bom.metadata.timestamp = None  # type: ignore[assignment] # the schema needs none
    bom.metadata.tools.components.add(
        Component(name="packhorse", version=version("packhorse"), type=ComponentType.APPLICATION)
    )
    if subject:
        kind = ComponentType.APPLICATION if components else ComponentType.LIBRARY
        bom.metadata.component = _component(subject, kind)
        bom.register_dependency(bom.metadata.component, components)
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
    return f"{text}\n".encode()


def _locked(package: Package) -> Part:
    files: list[PackageWheel | PackageSdist] = [*(package.wheels or [])]
    files += [package.sdist] if package.sdist else []
    found = (File(file.filename, tuple(sorted(file.hashes.items()))) for file in files)
    return Part(package.name, str(package.version or ""), tuple(sorted(found)))


def _merged(parts: Iterable[Part]) -> Iterator[Part]:
    """A lock may have a version several times, each for other platforms: one component, all files."""
    known: dict[str, Part] = {}
    for part in parts:
        before = known.get(part.purl, part)
        known[part.purl] = replace(
            before,
            files=tuple(sorted({*before.files, *part.files})),
            license=before.license or part.license,
        )
    yield from known.values()


def _component(part: Part, kind: "ComponentType") -> "Component":
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model.component import Component
    from packageurl import PackageURL

    return Component(
        type=kind,
        name=part.name,
        version=part.version,
        bom_ref=part.purl,
        purl=PackageURL.from_string(part.purl) if part.version else None,
        licenses=[LicenseFactory().make_from_string(part.license)] if part.license else [],
        external_references=list(_references(part)),
    )


def _references(part: Part) -> "Iterator[ExternalReference]":
    """Its files, by name and not by address: where they were found says nothing about what they are."""
    from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri

    for file in part.files:
        hashes = [
            HashType(alg=HashAlgorithm[re.sub("sha", "SHA_", kind).upper()], content=value.lower())
            for kind, value in file.hashes
            if re.fullmatch(f"[0-9a-fA-F]{{{_HEX_LENGTHS.get(kind, 0)}}}", value) and value
        ]
        uri = XsUri(quote(file.filename) or part.purl)
        yield ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=uri, hashes=hashes)
