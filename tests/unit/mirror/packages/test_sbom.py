"""Tests of bills of materials of locks and artifacts, which may be of anybody."""

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mirror.packages import sbom
from mirror.state import Folder
from packhorse import sdists
from packhorse.errors import PackhorseError

METADATA = b"Metadata-Version: 2.4\nName: Demo.App\nVersion: 1.0\nLicense-Expression: MIT\n"
SHA256 = "ab" * 32
LOCK = f"""
lock-version = "1.0"
created-by = "test"
[[packages]]
name = "flask"
version = "3.0"
[[packages.wheels]]
name = "flask-3.0-py3-none-any.whl"
url = "https://files.example.com/flask-3.0-py3-none-any.whl"
hashes = {{sha256 = "{SHA256}"}}
""".encode()


def wheel(path: Path, members: Mapping[str, bytes]) -> Path:
    """A wheel with these members."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def sdist(path: Path, members: Mapping[str, bytes]) -> Path:
    """An sdist with these members."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def parsed(bill: sbom.Bill) -> Any:  # noqa: ANN401 (JSON)
    """The document."""
    return json.loads(bill.content)


def test_wheel_and_sdist_are_described_by_their_own_metadata_and_lock(tmp_path: Path) -> None:
    """Only by those of the artifact itself: tests and vendored packages may have such files, too."""
    other = b"Name: other\nVersion: 9\n"
    made = [
        wheel(
            tmp_path / "demo_app-1.0-py3-none-any.whl",
            {
                "x/METADATA": other,
                "demo_app-1.0.dist-info/METADATA": METADATA,
                "demo_app-1.0.dist-info/pylock.toml": LOCK,
                "demo_app-1.0.dist-info/packhorse-files/pylock.toml": b"",
            },
        ),
        sdist(
            tmp_path / "demo_app-1.0.tar.gz",
            {
                "demo_app-1.0/tests/PKG-INFO": other,
                "demo_app-1.0/PKG-INFO": METADATA,
                "demo_app-1.0/pylock.toml": LOCK,
            },
        ),
    ]
    for path in made:
        bill = sbom.of_file(path, Folder(tmp_path))
        found = parsed(bill)
        assert bill.complete
        assert found["metadata"]["component"]["purl"] == "pkg:pypi/demo-app@1.0"
        assert found["metadata"]["component"]["licenses"] == [{"license": {"id": "MIT"}}]
        (file,) = found["metadata"]["component"]["externalReferences"]
        assert file["hashes"][0]["content"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert [each["purl"] for each in found["components"]] == ["pkg:pypi/flask@3.0"]


def test_licenses_come_from_the_metadata_of_cached_wheels(tmp_path: Path) -> None:
    """The mirror keeps them by the first characters of the wheel's sha256."""
    folder, lock = Folder(tmp_path / "home"), tmp_path / "pylock.toml"
    lock.write_bytes(LOCK)
    bill = sbom.of_file(lock, folder)
    assert "licenses" not in parsed(bill)["components"][0]
    assert sbom.unlicensed(bill, lock) == (
        f"no license is known of 1 of 1 packages: of 1 no file is here, `mirror prefetch {lock}` brings them"
    )
    cached = folder.metadata / "root" / "pypi" / SHA256[:3] / SHA256[3:16]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"Name: flask\nVersion: 3.0\nLicense-Expression: BSD-3-Clause\n")
    bill = sbom.of_file(lock, folder)
    assert parsed(bill)["components"][0]["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert sbom.unlicensed(bill, lock) == ""


def test_licenses_come_from_cached_files_whose_metadata_nobody_has_asked_for(tmp_path: Path) -> None:
    """As all are that `mirror prefetch` has brought; a broken one says nothing."""
    folder, lock = Folder(tmp_path / "home"), tmp_path / "pylock.toml"
    lock.write_bytes(LOCK)
    cached = folder.files / "root" / "pypi" / "+f" / SHA256[:3] / SHA256[3:16] / "flask-3.0-py3-none-any.whl"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"broken")
    assert sbom.of_file(lock, folder).unread == 1
    wheel(cached, {"flask-3.0.dist-info/METADATA": b"Name: flask\nVersion: 3.0\n"})
    bill = sbom.of_file(lock, folder)
    assert sbom.unlicensed(bill, lock) == "no license is known of 1 of 1 packages"
    wheel(cached, {"flask-3.0.dist-info/METADATA": METADATA})
    assert parsed(sbom.of_file(lock, folder))["components"][0]["licenses"] == [{"license": {"id": "MIT"}}]


def test_a_requirements_file_gives_packages_with_the_hashes_that_it_has(tmp_path: Path) -> None:
    """It does not say which file each hash is of."""
    path = tmp_path / "requirements.txt"
    path.write_text(f"flask==3.0 --hash=sha256:{SHA256} --hash=sha256:{'cd' * 32}\n")
    (flask,) = parsed(sbom.of_file(path, Folder(tmp_path)))["components"]
    assert [each["url"] for each in flask["externalReferences"]] == ["pkg:pypi/flask@3.0"] * 2


def test_packages_for_other_platforms_are_listed_and_those_from_elsewhere(tmp_path: Path) -> None:
    """A bill says what a lock may install, wherever that is."""
    path = tmp_path / "pylock.toml"
    path.write_bytes(
        LOCK.replace(b'version = "3.0"', b'version = "3.0"\nmarker = "sys_platform == \'win32\'"')
        + b'[[packages]]\nname = "near"\n[packages.directory]\npath = "../near"\n'
    )
    found = parsed(sbom.of_file(path, Folder(tmp_path)))
    assert [each["name"] for each in found["components"]] == ["flask", "near"]


def test_a_foreign_wheel_has_a_bill_without_what_it_depends_on(tmp_path: Path) -> None:
    """Its requirements are no versions; whoever reads the bill has to know that they are missing."""
    path = wheel(tmp_path / "a-1.0-py3-none-any.whl", {"a-1.0.dist-info/METADATA": METADATA})
    assert not sbom.of_file(path, Folder(tmp_path)).complete


@pytest.mark.parametrize("name", ["a-1.0-py3-none-any.whl", "a-1.0.tar.gz", "pylock.toml"])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    """Two lines instead of a traceback."""
    (tmp_path / name).write_bytes(b"\x00\xff")
    with pytest.raises(PackhorseError, match=name):
        sbom.of_file(tmp_path / name, Folder(tmp_path))


def test_an_artifact_without_metadata_or_with_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Archives of others may be bombs."""
    with pytest.raises(PackhorseError, match="METADATA"):
        sbom.of_file(wheel(tmp_path / "a-1.0-py3-none-any.whl", {"x": b""}), Folder(tmp_path))
    monkeypatch.setattr(sdists, "MOST_MEMBERS", 3)
    many = sdist(tmp_path / "a-1.0.tar.gz", {f"a-1.0/{number}": b"" for number in range(5)})
    with pytest.raises(PackhorseError, match="more than 3 members"):
        sbom.of_file(many, Folder(tmp_path))


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_wheel_by_another_method_than_deflate_is_refused(tmp_path: Path, method: int) -> None:
    """zipfile unpacks it without a limit, and raises an error of its own for a broken one."""
    path = tmp_path / "a-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a-1.0.dist-info/METADATA", METADATA)
    content = bytearray(path.read_bytes())
    at = content.index(b"METADATA") + len(b"METADATA")
    content[at + 9 : at + 17] = b"x" * 8
    path.write_bytes(content)
    with pytest.raises(PackhorseError, match=r"a-1.0-py3-none-any.whl: .* another method than deflate"):
        sbom.of_file(path, Folder(tmp_path))


@pytest.mark.parametrize(
    "lock",
    [
        b"a=" + b"[" * 100_000,
        b"[[packages]]\nname = 'a'\nmarker = \"" + b"(" * 20_000 + b"os_name == 'x'" + b")" * 20_000 + b'"',
    ],
    ids=["toml", "marker"],
)
def test_a_lock_inside_that_is_nested_deeply_is_named(tmp_path: Path, lock: bytes) -> None:
    """Two lines instead of a traceback."""
    members = {"a-1.0.dist-info/METADATA": METADATA, "a-1.0.dist-info/pylock.toml": lock}
    with pytest.raises(PackhorseError, match=r"a-1.0-py3-none-any.whl: pylock.toml: "):
        sbom.of_file(wheel(tmp_path / "a-1.0-py3-none-any.whl", members), Folder(tmp_path))
