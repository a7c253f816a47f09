"""Identity of what is deployed: read from an artifact on the company index, checked, put into words."""

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from packhorse.errors import PackhorseError
from release import index
from release.deploy.requests import Artifact
from release.host.disk.manifest import Content, Identity
from release.host.formats import artifact
from release.host.install import verification


def read(found: Artifact, get: index.Get, signers: Sequence[str] = ()) -> Identity:
    """The identity of version `found`, read from its wheel, or else its sdist; see `checked`."""
    with checked(found, get, signers) as made:
        return made.identity


class Checked(NamedTuple):
    """A file of a version: where it lies now, what it says about itself, and who it is."""

    path: Path
    contents: artifact.Contents
    identity: Identity


@contextlib.contextmanager
def checked(found: Artifact, get: index.Get, signers: Sequence[str] = ()) -> Iterator[Checked]:
    """The wheel of version `found` on the index, or else its sdist, in a file until the end of the block.

    With `signers`, one of these keys has to have signed it.

    Raises PackhorseError for a file that is not the one that the index lists, or is not of that version.
    """
    file = max(found.files, key=lambda file: file.filename.endswith(".whl"))
    answer = get(str(file.url), "*/*")
    if answer.status != 200 or hashlib.sha256(answer.body).hexdigest() != file.sha256:
        raise PackhorseError(
            f"{file.url} answered {answer.status}, and not with the file that the index lists.",
            "Look at the log of the index; deploy when the file is right.",
        )
    with tempfile.TemporaryDirectory(prefix="packhorse-artifact-") as folder:
        path = Path(folder, file.filename)
        path.write_bytes(answer.body)
        signer = verification.verify(path, signers) if signers else None
        contents = artifact.read(path)
        artifact.require(contents, found.project, found.version, file.filename)
        built = contents.manifest
        own = Identity(
            name=found.project,
            version=found.version,
            filename=file.filename,
            sha256=file.sha256,
            index=found.index,
            commit=built.commit,
            dirty=built.dirty,
            committer=built.committer,
            signer=signer,
        )
        yield Checked(path, contents, own)


def sentence(table: Mapping[str, Any]) -> str:
    """Sentence about the identity that `dataclasses.asdict` made `table` of."""
    text = (
        f"{table['name']} {table['version']} from {table['index'] or 'an index that nobody wrote down'}: "
        f"{table['filename']}, sha256 {table['sha256']}, "
    )
    text += f"built from commit {table['commit']}" if table["commit"] else "built from an unknown commit"
    text += f" of {table['committer']}" if table["committer"] else ""
    text += " and changes that were not committed" if table["dirty"] else ""
    text += f", signed by {table['signer']}" if table["signer"] else ""
    return text if text.isprintable() else ascii(text)  # it comes from the artifact: no terminal escapes


def require_company_content(
    table: Mapping[str, Any],
    host: str,
    target: str,
    list_files: Callable[[str], list[index.ListedFile]],
    *,
    without_code: bool = False,
) -> None:
    """Raise PackhorseError unless all files of content `table`, sent by `host`, are on a company index.

    In a rollback a host without the release installs what another names, which may be compromised. `target`:
    its name, for the hint; `list_files`: files that the index shows for a project; `without_code`: there may
    be none to install.
    """
    try:
        content = Content.of_json(table)
    except (KeyError, TypeError, AttributeError) as error:
        raise PackhorseError(
            f"{host}: its agent sends content that no agent of ours does: {error!r}.",
            "Look at what runs there.",
        ) from error
    if without_code and not content.files:
        return
    company = {(file.filename, file.sha256) for file in list_files(str(content.project)) if file.company}
    unknown = [file.filename for file in content.files if (file.filename, file.sha256) not in company]
    if unknown or not content.files:
        files = ", ".join(unknown) or "no file"
        raise PackhorseError(
            f"{host} goes back to {files}, which no company index has with that sha256.",
            f"Look at that host; deploy a version that is there: release deploy {target} NAME==VERSION",
        )
