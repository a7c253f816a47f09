"""The promises of release.host.disk.static_files."""

from pathlib import Path

from release.host.disk import releases, static_files
from release.host.disk.layout import Layout
from tests.support.release_folders import a_layout, add_release


def add(layout: Layout, number: int, **files: str) -> None:
    """A release with static files: names have "__" for "/" and "_" for "."."""
    add_release(layout, number)
    layout.static_of(number).mkdir()
    for name, text in files.items():
        path = layout.static_of(number) / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def published(layout: Layout) -> dict[str, str]:
    paths = [path for path in layout.static.rglob("*") if path.is_file()]
    return {str(path.relative_to(layout.static)): path.read_text() for path in paths}


def test_all_releases_have_their_files_there(tmp_path: Path) -> None:
    """Of one name the newest has its own: without a hash in it, it may be another file."""
    layout = a_layout(tmp_path)
    add(layout, 1, css__a_1_css="a1", logo_svg="old")
    add(layout, 2, css__a_2_css="a2", logo_svg="new")
    static_files.publish(layout)
    assert published(layout) == {"css/a.1.css": "a1", "css/a.2.css": "a2", "logo.svg": "new"}
    assert layout.static.joinpath("css/a.2.css").samefile(layout.static_of(2) / "css/a.2.css")


def test_what_no_release_has_any_more_goes_and_the_rest_stays_untouched(tmp_path: Path) -> None:
    """Also what a killed command has left, and folders that are empty then."""
    layout = a_layout(tmp_path)
    add(layout, 1, css__a_1_css="a1", logo_svg="old")
    add(layout, 2, js__a_2_js="a2", logo_svg="new")
    static_files.publish(layout)
    layout.folder.joinpath(".static").write_text("left")
    layout.static.joinpath("stray").write_text("left")
    kept = layout.static.joinpath("js").stat().st_mtime_ns
    releases.remove(layout, 1)
    static_files.publish(layout)
    assert published(layout) == {"js/a.2.js": "a2", "logo.svg": "new"}
    assert not layout.static.joinpath("css").exists()
    assert layout.static.joinpath("js").stat().st_mtime_ns == kept
    releases.remove(layout, 2)
    static_files.publish(layout)
    assert not layout.static.exists()


def test_a_folder_may_become_a_file_and_a_file_a_folder(tmp_path: Path) -> None:
    """The newest release is right; nothing stands in its way."""
    layout = a_layout(tmp_path)
    add(layout, 1, x="file", y__a="in a folder")
    static_files.publish(layout)
    add(layout, 2, x__a="in a folder", y="file")
    static_files.publish(layout)
    assert published(layout) == {"x/a": "in a folder", "y": "file"}
    releases.remove(layout, 2)
    static_files.publish(layout)
    assert published(layout) == {"x": "file", "y/a": "in a folder"}


def test_a_release_that_is_not_complete_shows_nothing(tmp_path: Path) -> None:
    """Its files may be half written."""
    layout = a_layout(tmp_path)
    add(layout, 1, a_css="a")
    layout.release(1).joinpath(releases.READY).unlink()
    static_files.publish(layout)
    assert published(layout) == {}
