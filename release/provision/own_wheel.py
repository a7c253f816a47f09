"""Make a wheel of the Packhorse that runs here: hosts get it from the deployer by hash, and from no index."""

import base64
import hashlib
import json
import os
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packhorse import process
from packhorse.errors import PackhorseError

# Of the installation here, not of the wheel (the specification "Recording installed projects").
_NOT_PACKED = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
# The earliest time that a zip archive can hold: the same content gives the same bytes, and the same hash.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_EPOCH_SECONDS = "315532800"


def make(folder: Path) -> Path:
    """Make the wheel in the empty `folder`: from the checkout that Packhorse runs from, else from its files.

    Raises PackhorseError.
    """
    installed = metadata.distribution("packhorse")
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        return build(Path(unquote(urlsplit(origin["url"]).path)), folder)
    return pack(installed, folder)


def build(checkout: Path, folder: Path) -> Path:
    """Build the wheel of `checkout`, from its sdist: what an earlier build left there does not get in."""
    command = [*[sys.executable, "-Im", "build", "--no-isolation"], "--outdir", str(folder), str(checkout)]
    done = process.run(command, env={**os.environ, "SOURCE_DATE_EPOCH": _EPOCH_SECONDS})
    if done.status:
        raise process.failure(
            done,
            f"Packhorse's own wheel could not be built from {checkout}.",
            "Install what the checkout needs: make .venv/.installed",
        )
    return next(folder.glob("*.whl"))


def pack(installed: metadata.Distribution, folder: Path) -> Path:
    """Pack the files of an installed wheel again, each compared with its hash in RECORD first."""
    contents = {str(path): _read(installed, path) for path in installed.files or [] if _packed(path)}
    info = next((name for name in contents if name.endswith(".dist-info/METADATA")), "").partition("/")[0]
    if not info:
        raise PackhorseError(
            "Packhorse was installed without a list of its files (RECORD).", "Install it with pip or uv."
        )
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in contents.items())
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    wheel = folder / f"{info.removesuffix('.dist-info')}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            member = zipfile.ZipInfo(name, _EPOCH)
            mode = 0o755 if data.startswith(b"#!") else 0o644  # Ansible runs inventory.sh
            member.external_attr, member.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(member, data)
    return wheel


def _packed(path: metadata.PackagePath) -> bool:
    return path.suffix != ".pyc" and ".." not in path.parts and path.name not in _NOT_PACKED


def _read(installed: metadata.Distribution, path: metadata.PackagePath) -> bytes:
    data = Path(str(installed.locate_file(path))).read_bytes()
    if path.hash is None or (path.hash.mode, path.hash.value) != ("sha256", _digest(data)):
        raise PackhorseError(
            f"{installed.locate_file(path)} is not as it was installed.",
            "Install Packhorse again: hosts get exactly the files of its wheel.",
        )
    return data


def _digest(data: bytes) -> str:
    """The hash as RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
