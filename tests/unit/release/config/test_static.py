"""The promises of release.config.static."""

import fnmatch
import itertools
import time
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from packhorse import settings
from packhorse.errors import PackhorseError
from release.config.release_toml import ReleaseConfig
from release.config.static import Static, literal
from tests.support import documents


def parse(**table: object) -> ReleaseConfig:
    return settings.parse(ReleaseConfig, {"app": "shop", **table}, "release.toml")


@pytest.mark.parametrize(
    "name",
    [
        "css/base.55e7cbb9ba48.css",  # Django
        "main.3f9a8b7c6d5e4f3a2b1c.js",  # webpack
        "style-d41d8cd98f00b204e9800998ecf8427e.css",  # Flask-Static-Digest
        "3f9a8b7c.js",
        "app.3f9a8b7c.js.gz",
        "a/b_3f9a8b7c.min.css",
    ],
)
def test_a_hash_in_a_name_is_seen(name: str) -> None:
    """What the usual tools write is cached for ever without a word in release.toml."""
    assert Static(folder="shop/static").is_hashed(name)


@pytest.mark.parametrize(
    "name",
    ["style.css", "photo-20260101.jpg", "a.3f9a8b7.js", "3f9a8b7c/style.css", "x.3f9a8b7c", "a.3F9A8B7C.js"],
)
def test_what_may_change_is_no_hash(name: str) -> None:
    """A date, a short number, a folder: browsers would show the old file for a year."""
    assert not Static(folder="shop/static").is_hashed(name)


def test_patterns_name_what_has_a_hash_in_another_form() -> None:
    """Vite's hashes look like words; `*` is for folders below, too."""
    static = Static(folder="shop/static", hashed=["assets/*", "*-????????.js"])
    assert [static.is_hashed(name) for name in ("assets/a/b.css", "x/index-DiwrgTda.js")] == [True, True]
    assert not any(static.is_hashed(name) for name in ("assets", "index.js", "xassets/a", "assets/\n"[:-2]))
    assert not Static(folder="shop/static", hashed=[]).is_hashed("a.3f9a8b7c.js")


def test_a_pattern_for_nginx_has_no_character_of_its_own() -> None:
    """It is text between quotes there, and Ansible runs templates in it."""
    assert literal('/st.a+{}"$/') == r"/st\x2ea\x2b\x7b\x7d\x22\x24/"
    assert Static(folder="s", hashed=["a.b*?"]).hashed_pattern == r"a\x2eb.*."


def test_stars_match_as_fnmatch_has_them() -> None:
    """Each part is taken where it first occurs, and that loses no name."""
    globs = ["".join(chars) for chars in itertools.product("a-*?", repeat=4)]
    names = ["".join(chars) for length in range(1, 7) for chars in itertools.product("a-", repeat=length)]
    for glob in globs:
        static = Static(folder="shop/static", hashed=[glob])
        found = [name for name in names if static.is_hashed(name)]
        assert found == [name for name in names if fnmatch.fnmatchcase(name, glob)], glob


@pytest.mark.parametrize(
    ("hashed", "name"),
    [
        (None, ".aaaaaaaa" * 8000 + "/x"),
        (None, "-1" * 40_000),
        (None, "aaaaaaaa.a/" * 8000),
        (None, "-" * 40_000 + "1" * 40_000),
        (["*-*.js"], "-" * 80_000),
        (["*-*-?*-*.js"], "-a" * 40_000),
    ],
)
def test_a_long_name_takes_no_long_time(hashed: list[str] | None, name: str) -> None:
    """Visitors choose it, and nginx matches it while all others wait."""
    start = time.process_time()
    assert not Static(folder="shop/static", hashed=hashed).is_hashed(name)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"folder": "/etc"},
        {"folder": "../etc"},
        {"folder": "shop/../.."},
        {"folder": "shop/static/"},
        {"folder": 'shop"; }'},
        {"folder": "shop", "url": "static"},
        {"folder": "shop", "url": "/"},
        {"folder": "shop", "hashed": ['a"']},
        {"folder": "shop", "hashed": ["(a+)+"]},
        {"folder": "shop", "hashed": ["*", "*"]},
        {"folder": "shop", "hash": ["*"]},
    ],
)
def test_what_is_no_folder_url_or_pattern_is_refused(table: dict[str, object]) -> None:
    """They become part of nginx's configuration, and of paths on hosts."""
    with pytest.raises(PackhorseError, match=r"release\.toml: static"):
        parse(static=table)


def test_one_path_is_served_from_one_place() -> None:
    """nginx would take the folder of the target, and nobody would see why."""
    target = {"hosts": ["web1"], "provision": {"static": {"/static/": "/srv/static"}}}
    with pytest.raises(PackhorseError, match=r"targets\.production\.provision\.static: /static/ is the url"):
        parse(static={"folder": "shop/static"}, targets={"production": target})
    assert parse(static={"folder": "shop/static", "url": "/s/"}, targets={"production": target}).static


def test_the_application_serves_files_as_the_page_shows(tmp_path: Path) -> None:
    """WhiteNoise caches what has a hash as nginx does, and leaves the rest to the application."""
    (text,) = [block.text for block in documents.blocks("static.md") if block.filename == "wsgi.py"]
    (tmp_path / "static").mkdir()
    (tmp_path / "static/app.0123abcd.css").write_text("a { }")
    (tmp_path / "static/report.20260101.css").write_text("a { }")
    namespace = {"__file__": str(tmp_path / "wsgi.py")}
    exec(text, namespace)  # noqa: S102  # it is ours
    said: dict[str, tuple[str, dict[str, str]]] = {}
    for path in ("/static/app.0123abcd.css", "/static/report.20260101.css", "/"):
        environ: dict[str, Any] = {}
        setup_testing_defaults(environ)
        environ["PATH_INFO"] = path
        answer = namespace["app"](  # type: ignore[operator]
            environ, lambda status, headers, path=path: said.update({path: (status, dict(headers))})
        )
        b"".join(answer)
        getattr(answer, "close", lambda: None)()
    status, headers = said["/static/app.0123abcd.css"]
    assert (status, headers["Content-Type"]) == ("200 OK", 'text/css; charset="utf-8"')
    assert "immutable" in headers["Cache-Control"]
    assert "immutable" not in said["/static/report.20260101.css"][1]["Cache-Control"]
    assert said["/"][0] == "404 Not Found"
