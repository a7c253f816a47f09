"""Sign artifacts with an ssh key: of a file, of ssh-agent, or on a FIDO device."""

from pathlib import Path

from packhorse import process
from packhorse.errors import PackhorseError
from release.host.formats import signature


def sign(path: Path, key: Path) -> None:
    """Sign the artifact at `path`, unless it is signed already.

    `key` is a private key, or a public one whose private part ssh-agent has. Raises PackhorseError.
    """
    digest, present = signature.read(path)
    if present is not None:
        return
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", signature.NAMESPACE, "-f", str(key)]
    try:
        done = process.run(command, stdin=signature.statement(path.name, digest))
    except FileNotFoundError as error:
        raise PackhorseError("There is no ssh-keygen here.", "Install OpenSSH 8.2 or later.") from error
    if done.status != 0:
        raise process.failure(
            done,
            f"{path.name} was not signed with {key}.",
            "The output above names the cause; name a private key, or the .pub file of one in ssh-agent.",
        )
    signature.embed(path, done.stdout)
