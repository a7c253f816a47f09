"""Verify the signature of an artifact, before anything of it is unpacked or runs."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from packhorse import process
from packhorse.errors import PackhorseError
from release.host.formats import signature


def verify(path: Path, signers: Sequence[str]) -> str:
    """The one of `signers` (ssh's public keys: type, key, comment) that has signed the file at `path`.

    Raises PackhorseError when none has.
    """
    digest, found = signature.read(path)
    if found is None:
        raise PackhorseError(
            f"{path.name} is not signed, and require_signature is set in release.toml.",
            "Sign it before the upload: release build --sign KEY, or release upload --sign KEY",
        )
    with tempfile.TemporaryDirectory(prefix="packhorse-signature-") as scratch:
        folder = Path(scratch)
        (folder / "signature").write_text(found)
        for signer in signers:
            # One at a time: what ssh-keygen calls a principal does not matter, as it has one key here.
            (folder / "allowed").write_text(f'signer namespaces="{signature.NAMESPACE}" {signer}\n')
            done = _run(folder, signature.statement(path.name, digest))
            if done.status == 0:
                return signer
    raise PackhorseError(
        f"{path.name} has no valid signature of a key in signers of release.toml.",
        "Find out who signed or changed it; a new key belongs into signers, a lost one out of it.",
        detail=done.output if signers else "",
    )


def _run(folder: Path, statement: str) -> process.Finished:
    command = [
        *("ssh-keygen", "-Y", "verify", "-n", signature.NAMESPACE, "-I", "signer"),
        *("-f", str(folder / "allowed"), "-s", str(folder / "signature")),
    ]
    try:
        return process.run(command, stdin=statement)
    except FileNotFoundError as error:
        raise PackhorseError(
            "There is no ssh-keygen on this host, to verify the signature with.",
            "Install it (Debian: openssh-client), and deploy again.",
        ) from error
