"""Make objects for a bucket out of the static files of a version on the company index."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import parse_wheel_filename

from packhorse.errors import PackhorseError
from release.assets import media_types
from release.config.static import Static
from release.deploy.identity import Checked
from release.host.formats import artifact

FOR_EVER = "public, max-age=31536000, immutable"
FOR_A_MINUTE = "public, max-age=60"


@dataclass(frozen=True)
class Object:
    """An object: `key` is its name in the bucket; a `hashed` one is never another one under this name."""

    key: str
    body: bytes = field(repr=False)
    content_type: str
    encoding: str | None
    hashed: bool

    @property
    def cache_control(self) -> str:
        """Header for browsers and CDNs: how long they keep it."""
        return FOR_EVER if self.hashed else FOR_A_MINUTE

    @property
    def md5(self) -> bytes:
        """Its MD5, which stores check, and which most have as its ETag."""
        return hashlib.md5(self.body, usedforsecurity=False).digest()


@dataclass(frozen=True)
class Stored:
    """An object that a bucket has: its size in bytes, and its ETag without quotes."""

    size: int
    etag: str


def missing(wanted: Iterable[Object], stored: Mapping[str, Stored]) -> list[Object]:
    """The objects that a bucket lacks, or has with another content.

    A name with a hash and the right size is the right one: some stores have other ETags than the MD5.
    """
    return [
        each
        for each in wanted
        if (there := stored.get(each.key)) is None
        or there.size != len(each.body)
        or not (each.hashed or there.etag == each.md5.hex())
    ]


def of_version(made: Checked, static: Static, prefix: str) -> list[Object]:
    """The objects of a version: those of its own wheel, which an sdist has inside.

    Raises PackhorseError when the wheel has none, or some that no file can be.
    """
    wheel = made.path if made.path.suffix == ".whl" else _inside(made)
    files = dict(artifact.static_files(wheel, static.folder))
    if not files:
        raise PackhorseError(
            f"{made.path.name} has no files in {static.folder}.",
            "Correct folder below [static] in release.toml, or build the files into the wheel.",
        )
    return list(_objects(files, static, prefix))


def _inside(made: Checked) -> Path:
    """Write the application's own wheel, which its sdist has inside, beside it. Raises PackhorseError."""
    for name, sha256 in made.contents.manifest.wheels.items():
        if parse_wheel_filename(name)[0] == made.identity.name:
            content = artifact.embedded_wheel(made.path, name)
            if hashlib.sha256(content).hexdigest() == sha256:
                wheel = made.path.with_name(name)
                wheel.write_bytes(content)
                return wheel
    raise PackhorseError(
        f"{made.path.name} has no wheel inside, or another one than was built.",
        "Upload a wheel: release build, release upload",
    )


def _objects(files: Mapping[str, bytes], static: Static, prefix: str) -> Iterator[Object]:
    """`files` (name -> content) as objects: of NAME and NAME.gz one, which every browser unpacks."""
    types = media_types.known()
    for name, content in files.items():
        if name.endswith(".gz") and name.removesuffix(".gz") in files:
            continue
        packed = files.get(f"{name}.gz")
        yield Object(
            key=f"{prefix}{name}",
            body=content if packed is None else packed,
            content_type=media_types.of(name, types),
            encoding=None if packed is None else "gzip",
            hashed=static.is_hashed(name),
        )
