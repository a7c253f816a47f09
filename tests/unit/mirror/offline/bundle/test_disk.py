"""A bundle on a disk is read as if an enemy had written it."""

import dataclasses
import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from mirror.offline.bundle import disk, listing
from mirror.offline.bundle.listing import File, Listing
from mirror.plugin.evidence import provenance_objects
from packhorse.errors import PackhorseError

CONTENT, METADATA, PROVENANCE = b"a wheel", b"Metadata-Version: 2.1\n", b"{}"
FILE = File(
    "demo",
    "demo-1.0-py3-none-any.whl",
    len(CONTENT),
    hashlib.sha256(CONTENT).hexdigest(),
    hashlib.sha256(METADATA).hexdigest(),
    provenance=hashlib.sha256(PROVENANCE).hexdigest(),
)
ATTESTED = Path(__file__).parents[4] / "support/attested/pypi_attestations-0.0.19.tar.gz.provenance"
PATH, PROVED = f"files/{FILE.filename}", f"provenance/{FILE.provenance}.provenance"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    (folder / "files").mkdir(parents=True)
    (folder / PATH).write_bytes(CONTENT)
    (folder / f"{PATH}.metadata").write_bytes(METADATA)
    (folder / "provenance").mkdir()
    (folder / PROVED).write_bytes(PROVENANCE)
    for path, content in listing.texts(Listing((FILE,))).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def test_a_bundle_of_ours_is_read(bundle: Path) -> None:
    """The rest would be worth nothing otherwise."""
    assert disk.read(bundle) == Listing((FILE,))
    assert disk.problem(bundle, FILE) == ""
    sums = (bundle / "SHA256SUMS").read_bytes()
    assert disk.fingerprint(bundle) == hashlib.sha256(sums).hexdigest()


def _replaced(path: str, old: str, new: str) -> Callable[[Path], object]:
    def change(bundle: Path) -> None:
        text = (bundle / path).read_text()
        assert old in text
        (bundle / path).write_text(text.replace(old, new))

    return change


def _linked(path: str, target: str) -> Callable[[Path], object]:
    def change(bundle: Path) -> None:
        (bundle / path).rename(bundle / target)
        (bundle / path).symlink_to(bundle / target)

    return change


TEXTS: dict[str, Callable[[Path], object]] = {
    "a link in HTML alone": _replaced("simple/demo/index.html", "../../files/", "https://example.com/"),
    "a script in HTML alone": _replaced("simple/demo/index.html", "<body>", "<body><script>x()</script>"),
    "another project in the list": _replaced("simple/index.html", "demo/", "evil/"),
    "another hash in JSON alone": _replaced("simple/demo/index.v1_json", FILE.sha256, "0" * 64),
    "another hash among the checksums": _replaced("SHA256SUMS", FILE.sha256, "0" * 64),
    "a page that is a link": _linked("simple/demo/index.v1_json", "elsewhere"),
    "a folder that is a link": _linked("simple/demo", "elsewhere"),
    "pages behind a link": _linked("simple", "elsewhere"),
    "no page": lambda bundle: (bundle / "simple/demo/index.v1_json").unlink(),
    "no pages": lambda bundle: (bundle / "simple").rename(bundle / "gone"),
    "no checksums": lambda bundle: (bundle / "SHA256SUMS").unlink(),
    "a project without a page": lambda bundle: (bundle / "simple/other").mkdir(),
    "more than one format": _replaced("bundle.json", '"format": 2', '"format": 1, "format": 2'),
    "spaces in JSON": _replaced("bundle.json", '"format": 2', '"format":  2'),
}


@pytest.mark.parametrize("change", TEXTS)
def test_what_is_not_as_ours_would_be_is_refused(bundle: Path, change: str) -> None:
    """Before anything is loaded, in two lines."""
    TEXTS[change](bundle)
    with pytest.raises(PackhorseError, match="is not as `mirror bundle` makes it"):
        disk.read(bundle)


def test_a_text_file_without_end_is_not_read(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a sparse file of terabytes only what ours may have."""
    monkeypatch.setattr(disk, "MOST", 50)
    with pytest.raises(PackhorseError, match="larger than 50 bytes"):
        disk.read(bundle)


def test_a_bundle_of_a_later_version_is_told_apart_from_a_damaged_one(bundle: Path) -> None:
    """Copying it again would not help."""
    _replaced("bundle.json", '"format": 2', '"format": 3, "more": {}')(bundle)
    with pytest.raises(
        PackhorseError, match="has the format 3 of bundles, and this version reads 2"
    ) as raised:
        disk.read(bundle)
    assert "the version of Packhorse that made it" in raised.value.hint


def test_another_folder_is_none(tmp_path: Path) -> None:
    """A slip of the hand."""
    with pytest.raises(PackhorseError, match="is not a bundle"):
        disk.read(tmp_path)


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (lambda bundle: (bundle / PATH).unlink(), "missing, or no regular file"),
    "a link": (_linked(PATH, "elsewhere"), "missing, or no regular file"),
    "behind a link": (_linked("files", "elsewhere"), "missing, or no regular file"),
    "shorter": (lambda bundle: (bundle / PATH).write_bytes(b"a"), "another size"),
    "changed": (lambda bundle: (bundle / PATH).write_bytes(b"b wheel"), "another content"),
    "metadata gone": (lambda bundle: (bundle / f"{PATH}.metadata").unlink(), "metadata is missing"),
    "metadata changed": (lambda bundle: (bundle / f"{PATH}.metadata").write_bytes(b"x"), "another content"),
    "provenance gone": (lambda bundle: (bundle / PROVED).unlink(), "provenance is missing"),
    "provenance changed": (lambda bundle: (bundle / PROVED).write_bytes(b"[]"), "another content"),
}


@pytest.mark.parametrize("change", FILES)
def test_a_file_that_is_not_the_listed_one_is_told(bundle: Path, change: str) -> None:
    """It is refused alone: the others of the bundle are as good as before."""
    act, why = FILES[change]
    act(bundle)
    assert why in disk.problem(bundle, FILE)


@pytest.mark.parametrize(("size", "refused"), [(1_000_000, False), (1_000_001, True)])
def test_provenance_is_as_large_as_the_server_takes_it(bundle: Path, size: int, *, refused: bool) -> None:
    """A smaller limit would refuse what a mirror has, a larger one read what the server then refuses."""
    content = ATTESTED.read_bytes().ljust(size)
    file = dataclasses.replace(FILE, provenance=hashlib.sha256(content).hexdigest())
    (bundle / f"provenance/{file.provenance}.provenance").write_bytes(content)
    problem = disk.problem(bundle, file)
    assert "more than" in problem if refused else problem == ""
    with pytest.raises(ValueError, match="more than") if refused else nullcontext():
        provenance_objects.check(content)
