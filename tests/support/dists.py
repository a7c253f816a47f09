"""Make wheels and sdists in memory, valid or broken in a chosen way, to serve and install in tests."""

import base64
import hashlib
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Dist:
    """One distribution file; `metadata` is what its METADATA or PKG-INFO really says."""

    filename: str
    content: bytes
    metadata: bytes

    @property
    def sha256(self) -> str:
        """The hash that an index states."""
        return hashlib.sha256(self.content).hexdigest()


def wheel(
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    requires_python: str = "",
    tag: str = "py3-none-any",
    padding: int = 0,
    data_first: bool = True,
    stated_metadata: bytes | None = None,
) -> Dist:
    """A valid wheel whose module says its version; `padding` bytes that do not compress make it large.

    `data_first=False` writes the `.dist-info` files before the padding, as some build tools do.
    """
    module = name.replace("-", "_").replace(".", "_")
    info = f"{module}-{version}.dist-info"
    metadata = stated_metadata or _metadata(name, version, requires, requires_python)
    data = {f"{module}/__init__.py": f"__version__ = {version!r}\n".encode()}
    if padding:
        data[f"{module}/padding.bin"] = random.Random(f"{name} {version}").randbytes(padding)  # noqa: S311  # not a secret
    about = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n"
    tail = {f"{info}/METADATA": metadata, f"{info}/WHEEL": about.encode()}
    members = {**data, **tail} if data_first else {**tail, **data}
    members[f"{info}/RECORD"] = record_of(members, f"{info}/RECORD")
    return Dist(f"{module}-{version}-{tag}.whl", archive(members), metadata)


def licensed(name: str, terms: str) -> Dist:
    """The wheel NAME 1.0, which states this license."""
    lines = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", f"License-Expression: {terms}", "", ""]
    return wheel(name, "1.0", stated_metadata="\n".join(lines).encode())


def sdist(
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    requires_python: str = "",
    build_requires: Sequence[str] = ("setuptools",),
) -> Dist:
    """A valid sdist of a project without code that setuptools can build."""
    folder = f"{name.replace('-', '_')}-{version}"
    metadata = _metadata(name, version, requires, requires_python)
    project = f'[project]\nname = "{name}"\nversion = "{version}"\ndependencies = {list(requires)!r}\n'
    needs = json.dumps(list(build_requires))
    build = f'[build-system]\nrequires = {needs}\nbuild-backend = "setuptools.build_meta"\n'
    members = {"PKG-INFO": metadata, "pyproject.toml": f"{build}{project}".encode()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path, content in members.items():
            entry = tarfile.TarInfo(f"{folder}/{path}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return Dist(f"{folder}.tar.gz", buffer.getvalue(), metadata)


def broken_wheel(name: str, version: str, fault: str) -> Dist:
    """A file with a wheel's name that no METADATA can be read from.

    `fault` is "garbage" (no zip at all), "no-metadata" (a zip without METADATA), "two-metadata" (two
    `.dist-info` folders), "cut" (a wheel without its end) or "bomb" (METADATA inflates to 200 MB).
    """
    good = wheel(name, version)
    module = name.replace("-", "_")
    made = {
        "garbage": lambda: b"this is no zip archive " * 400,
        "no-metadata": lambda: archive({f"{module}/__init__.py": b""}),
        "two-metadata": lambda: archive(
            {
                f"{module}-{version}.dist-info/METADATA": good.metadata,
                "other-1.dist-info/METADATA": b"Name: other\n",
            }
        ),
        "cut": lambda: good.content[: len(good.content) // 2],
        "bomb": lambda: archive({f"{module}-{version}.dist-info/METADATA": bytes(200_000_000)}),
    }
    return Dist(good.filename, made[fault](), b"")


def attestation(dist: Dist) -> dict[str, Any]:
    """An attestation object of `dist` (PEP 740), in the form that publishers send; nobody signed it."""
    subject = {"name": dist.filename, "digest": {"sha256": dist.sha256}}
    statement = {"_type": "https://in-toto.io/Statement/v1", "subject": [subject], "predicate": None}
    return {
        "version": 1,
        "verification_material": {"certificate": "bm9uZQ==", "transparency_entries": []},
        "envelope": {
            "statement": base64.b64encode(json.dumps(statement).encode()).decode(),
            "signature": "bm9uZQ==",
        },
    }


def archive(members: Mapping[str, bytes]) -> bytes:
    """A zip archive of `members` in their order, the same bytes at each call."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for path, content in members.items():
            file.writestr(zipfile.ZipInfo(path, (2024, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _metadata(name: str, version: str, requires: Sequence[str], requires_python: str) -> bytes:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += ["Description-Content-Type: text/plain"]  # `twine check --strict` wants one
    lines += [f"Requires-Python: {requires_python}"] if requires_python else []
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    return "\n".join([*lines, "", "Made for a test.", ""]).encode()


def record_of(members: Mapping[str, bytes], own_path: str) -> bytes:
    """The RECORD of a wheel: https://packaging.python.org/specifications/recording-installed-packages/."""
    lines = []
    for path, content in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(content)}")
    return "\n".join([*lines, f"{own_path},,", ""]).encode()
