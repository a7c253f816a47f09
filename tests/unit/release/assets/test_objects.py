"""The promises of release.assets.objects, and of media_types."""

import zipfile
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.assets import media_types, objects
from release.assets.objects import Object, Stored
from release.config.static import Static
from release.deploy.identity import Checked
from release.host.disk.manifest import Identity
from release.host.formats import artifact
from tests.support.tiny_app import app_sdist, app_wheel

STATIC = Static(folder="tiny/static")


def made(path: Path) -> Checked:
    contents = artifact.read(path)
    return Checked(path, contents, Identity("tiny", "1.0", path.name, "0" * 64, None, None, None, None, None))


def of(folder: Path, files: dict[str, bytes]) -> dict[str, Object]:
    """Key -> object of a wheel with these static files."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    path.write_bytes(app_wheel("1.0", static=files).content)
    return {each.key: each for each in objects.of_version(made(path), STATIC, "shop/")}


def test_an_object_has_the_headers_that_nginx_would_send(tmp_path: Path) -> None:
    """A browser sees no difference."""
    found = of(tmp_path, {"a/x.0123abcd.css": b"1", "logo.svg": b"2", "unknown.xyz": b"3", "<b>.js": b""})
    assert found.keys() == {"shop/a/x.0123abcd.css", "shop/logo.svg", "shop/unknown.xyz", "shop/<b>.js"}
    css, logo = found["shop/a/x.0123abcd.css"], found["shop/logo.svg"]
    assert (css.content_type, css.cache_control) == ("text/css; charset=utf-8", objects.FOR_EVER)
    assert (logo.content_type, logo.cache_control) == ("image/svg+xml; charset=utf-8", objects.FOR_A_MINUTE)
    assert found["shop/unknown.xyz"].content_type == media_types.DEFAULT


def test_a_compressed_file_takes_the_place_of_the_plain_one(tmp_path: Path) -> None:
    """A store cannot choose; one without a plain file beside it is a download of its own."""
    found = of(tmp_path, {"a.css": b"plain", "a.css.gz": b"packed", "data.tar.gz": b"tar"})
    assert found.keys() == {"shop/a.css", "shop/data.tar.gz"}
    assert (found["shop/a.css"].body, found["shop/a.css"].encoding) == (b"packed", "gzip")
    tar = found["shop/data.tar.gz"]
    assert (tar.body, tar.encoding, tar.content_type) == (b"tar", None, "application/gzip")


def test_what_a_bucket_has_already_is_not_sent() -> None:
    """A name without a hash may stand for another content; some stores have other ETags than the MD5."""
    hashed = Object("a.0123abcd.css", b"abc", "text/css", None, hashed=True)
    plain = Object("a.css", b"abc", "text/css", None, hashed=False)
    same = Stored(3, "900150983cd24fb0d6963f7d28e17f72")
    assert objects.missing([hashed, plain], {}) == [hashed, plain]
    assert objects.missing([hashed, plain], {hashed.key: same, plain.key: same}) == []
    other = Stored(3, "0" * 32)
    assert objects.missing([hashed, plain], {hashed.key: other, plain.key: other}) == [plain]
    cut = Stored(2, same.etag)
    assert objects.missing([hashed, plain], {hashed.key: cut, plain.key: cut}) == [hashed, plain]


def test_a_version_without_static_files_is_refused(tmp_path: Path) -> None:
    """An application that looks for them in the bucket would have pages without style."""
    with pytest.raises(PackhorseError, match=r"tiny-1\.0-py3-none-any\.whl has no files in tiny/static"):
        of(tmp_path, {})


def test_an_sdist_is_read_by_the_wheel_inside(tmp_path: Path) -> None:
    """Hosts install that one; one that was changed after the build counts as none."""
    path = tmp_path / "tiny-1.0.tar.gz"
    path.write_bytes(app_sdist("1.0").content)
    found = objects._inside(made(path))
    with zipfile.ZipFile(found) as archive:
        assert "tiny/__main__.py" in archive.namelist()
    contents = artifact.read(path)
    contents.manifest.wheels.update(dict.fromkeys(contents.manifest.wheels, "0" * 64))
    with pytest.raises(PackhorseError, match="has no wheel inside, or another one"):
        objects._inside(made(path)._replace(contents=contents))


def test_types_are_those_of_the_settings_of_nginx() -> None:
    """One table for both."""
    types = media_types.known()
    assert types["css"] == "text/css; charset=utf-8"
    assert types["html"] == "text/html; charset=utf-8"
    assert (types["woff2"], types["mjs"]) == ("font/woff2", "text/javascript; charset=utf-8")
    assert media_types.of("A.PNG", types) == "image/png"
    assert media_types.of("css", types) == "text/css; charset=utf-8"
