"""The promises of release.signing, and of its counterparts on hosts, with a real ssh-keygen."""

import gzip
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release import signing
from release.host.formats import artifact, signature
from release.host.install import verification
from tests.support.dists import Dist
from tests.support.tiny_app import app_sdist, app_wheel

pytestmark = pytest.mark.needs("ssh-keygen")
DISTS = [app_wheel("1.0"), app_sdist("1.0")]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys ann and mallory, and an RSA key, whose signatures are long."""
    folder = tmp_path_factory.mktemp("keys")
    for name, kind in (("ann", "ed25519"), ("mallory", "ed25519"), ("old", "rsa")):
        command = ["ssh-keygen", "-q", "-N", "", "-t", kind, "-C", name, "-f", str(folder / name)]
        subprocess.run(command, check=True)
    return folder


def public(keys: Path, name: str) -> str:
    return (keys / f"{name}.pub").read_text().strip()


def signed(folder: Path, dist: Dist, key: Path) -> Path:
    path = folder / dist.filename
    path.write_bytes(dist.content)
    signing.sign(path, key)
    return path


@pytest.mark.parametrize("dist", DISTS)
@pytest.mark.parametrize("name", ["ann", "old"])
def test_a_signed_artifact_is_an_artifact_like_any_other(
    dist: Dist, name: str, keys: Path, tmp_path: Path
) -> None:
    """Installers, indexes and our own readers see the same content."""
    path = signed(tmp_path, dist, keys / name)
    assert artifact.read(path).manifest.version == "1.0"
    assert signature.read(path)[0] == dist.sha256
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
    else:
        with tarfile.open(path) as archive:
            assert len(archive.getnames()) > 1
        assert gzip.decompress(path.read_bytes()) == gzip.decompress(dist.content)
    assert verification.verify(path, [public(keys, "mallory"), public(keys, name)]) == public(keys, name)


@pytest.mark.parametrize("dist", DISTS)
def test_signing_again_changes_nothing(dist: Dist, keys: Path, tmp_path: Path) -> None:
    """An upload may follow a build with the same option; and the same build gives the same bytes."""
    path = signed(tmp_path, dist, keys / "ann")
    before = path.read_bytes()
    signing.sign(path, keys / "ann")
    assert path.read_bytes() == before == signed(tmp_path, dist, keys / "ann").read_bytes()


def refused(path: Path, keys: Path) -> str:
    with pytest.raises(PackhorseError) as caught:
        verification.verify(path, [public(keys, "ann")])
    return caught.value.message


@pytest.mark.parametrize("dist", DISTS)
def test_a_file_that_nobody_signed_is_refused(dist: Dist, keys: Path, tmp_path: Path) -> None:
    """Whoever controls the index can bring any file to it."""
    path = tmp_path / dist.filename
    path.write_bytes(dist.content)
    assert "is not signed" in refused(path, keys)


@pytest.mark.parametrize("dist", DISTS)
def test_a_signature_of_another_key_is_refused(dist: Dist, keys: Path, tmp_path: Path) -> None:
    """It says who signed: that has to be one of the team."""
    assert "has no valid signature" in refused(signed(tmp_path, dist, keys / "mallory"), keys)


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "first byte": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "middle": lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:],
    "in front": lambda data: b"x" + data,
    "behind": lambda data: data + b"\0",
    "in the signature": lambda data: data.replace(b"U1NIU0lH", b"U1NIU0lI"),
    "a second end of a zip file in the comment": lambda data: data.replace(
        b"-----BEGIN", b"PK\x05\x06" + bytes(18) + b"-----BEGIN"
    ),
    "another gzip member behind": lambda data: data + gzip.compress(b"x"),
    "the part before the signature": lambda data: data[100:],
}


@pytest.mark.parametrize("dist", DISTS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_was_changed_after_it_was_signed_is_refused(
    dist: Dist, change: str, keys: Path, tmp_path: Path
) -> None:
    """Every byte counts, also those that one reader of archives skips and another does not."""
    path = signed(tmp_path, dist, keys / "ann")
    changed = CHANGES[change](path.read_bytes())
    assert changed != path.read_bytes()
    path.write_bytes(changed)
    assert refused(path, keys).startswith(path.name)


@pytest.mark.parametrize("dist", DISTS)
def test_a_signed_file_under_another_name_is_refused(dist: Dist, keys: Path, tmp_path: Path) -> None:
    """An old version as the newest one, a wheel for another platform."""
    path = signed(tmp_path, dist, keys / "ann")
    other = path.rename(path.with_name(path.name.replace("1.0", "2.0")))
    assert "has no valid signature" in refused(other, keys)


def test_a_signature_for_something_else_is_refused(keys: Path, tmp_path: Path) -> None:
    """The same key signs commits of git: a namespace of ours keeps them apart."""
    dist = app_wheel("1.0")
    path = tmp_path / dist.filename
    path.write_bytes(dist.content)
    text = signature.statement(path.name, dist.sha256)
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(keys / "ann")]
    made = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    signature.embed(path, made)
    assert "has no valid signature" in refused(path, keys)


def test_a_key_that_cannot_sign_is_named(keys: Path, tmp_path: Path) -> None:
    """A public key needs an agent that has the private one."""
    (tmp_path / "ann.pub").write_text(public(keys, "ann"))
    with pytest.raises(PackhorseError, match="was not signed with") as caught:
        signed(tmp_path, DISTS[0], tmp_path / "ann.pub")
    assert "ssh-agent" in caught.value.hint


def test_without_ssh_keygen_nothing_counts_as_signed(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host without it refuses, and says what to install."""
    path = signed(tmp_path, DISTS[0], keys / "ann")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "There is no ssh-keygen" in refused(path, keys)
