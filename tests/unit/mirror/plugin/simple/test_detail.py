"""The facts about files: stored as text, read again, merged."""

import pytest

from mirror.plugin.simple import detail
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile

EVERYTHING = ProjectFile(
    filename="demo-1.0-py3-none-any.whl",
    path="root/pypi/+f/abc/0123456789abc/demo-1.0-py3-none-any.whl",
    offered=True,
    url="https://files.example.com/demo-1.0-py3-none-any.whl",
    hashes={"sha256": "abc0123456789abc", "blake2b": "ffff"},
    requires_python=">=3.8",
    yanked="broken",
    size=12,
    upload_time="2024-01-02T03:04:05.678900Z",
    core_metadata={"sha256": "0000"},
    provenance="https://example.com/provenance",
)
PLAIN = ProjectFile(
    "demo-1.0.zip", "root/pypi/+e/files_example_com/demo-1.0.zip", yanked=True, core_metadata=True
)
HERE, THERE = (f"https://{host}.example.com/simple/demo/" for host in ("here", "there"))
DEMO = ProjectDetail(
    "demo", (EVERYTHING, PLAIN), ("1.0", "2.0"), {"status": "archived"}, (HERE,), (THERE,), withheld=3
)


@pytest.mark.parametrize("files", [(EVERYTHING, PLAIN), (PLAIN,), (PLAIN, PLAIN), ()])
def test_everything_that_is_stored_is_read_again(files: tuple[ProjectFile, ...]) -> None:
    """What an upstream said must survive on disk, whole."""
    said = detail.with_files(DEMO, files)
    text = detail.as_text(said, {"page": "https://example.com/simple/demo/"})
    assert detail.from_text("demo", text) == (said, {"page": "https://example.com/simple/demo/"})


def test_devpis_own_lists_can_be_had() -> None:
    """Its own views read them."""
    value = detail.as_devpi_lists(DEMO)
    assert value["links"] == [
        ("demo-1.0-py3-none-any.whl", f"{EVERYTHING.path}#sha256=abc0123456789abc"),
        ("demo-1.0.zip", PLAIN.path),
    ]
    assert value["requires_python"] == [">=3.8", None]
    assert value["yanked"] == ["broken", True]


def test_what_devpi_stored_without_us_is_read_as_far_as_it_goes() -> None:
    """The day the plugin is installed, cached projects must still be shown, and be known as incomplete."""
    value = {
        "links": [("demo-1.0.zip", "root/pypi/+f/a/b/demo-1.0.zip#md5=00")],
        "yanked": ["old"],
        "serial": 3,
    }
    file = ProjectFile("demo-1.0.zip", "root/pypi/+f/a/b/demo-1.0.zip", hashes={"md5": "00"}, yanked="old")
    assert detail.from_devpi_lists("demo", value) == ProjectDetail("demo", (file,))
    assert detail.from_devpi_lists("demo", {}) == ProjectDetail("demo")


def test_another_format_counts_as_stored_without_us() -> None:
    """A later version of the plugin must be able to change what it stores."""
    text = detail.as_text(DEMO, {}).replace(f'"format":{detail.FORMAT},', '"format":0,')
    assert detail.from_text("demo", text) is None


@pytest.mark.parametrize("number", [7, 8])
def test_files_with_two_names_are_left_out_of_what_earlier_versions_stored(number: int) -> None:
    """Policies go by the name, pip by the end of the URL; a page stays until its upstream changes it."""
    quoted = ProjectFile("demo-1.0+b\u00fcild.zip", "root/pypi/+f/abc/0123456789abc/demo-1.0+b\u00fcild.zip")
    other = EVERYTHING._replace(path="root/pypi/+f/abc/0123456789abc/evil-1.0-py3-none-any.whl")
    text = detail.as_text(detail.with_files(DEMO, (EVERYTHING, other, quoted)), {})
    for files, stored in (((EVERYTHING, quoted), number), ((EVERYTHING, other, quoted), detail.FORMAT)):
        found = detail.from_text("demo", text.replace(f'"format":{detail.FORMAT},', f'"format":{stored},'))
        assert found == (detail.with_files(DEMO, files), {})


def test_the_first_index_that_has_a_file_wins_it() -> None:
    """As devpi resolves inheritance; versions are those of all, a status is the first that is stated."""
    own = ProjectDetail("demo", (ProjectFile("demo-1.0.zip", "company/dev/+f/x/y/demo-1.0.zip"),), ("1.0",))
    shown = detail.merged("demo", [own, DEMO])
    assert shown.files == (own.files[0], EVERYTHING)
    assert shown.versions == ("1.0", "2.0")
    assert shown.status == {"status": "archived"}


def test_a_merged_page_claims_no_more_than_all_of_its_parts() -> None:
    """PEP 708: a wrong claim lets installers merge it with a stranger; who has no file has no say."""
    other = ProjectDetail("demo", (PLAIN,), (), {}, (HERE, THERE), (HERE, THERE))
    silent, empty = (ProjectDetail("demo", files) for files in ((PLAIN,), ()))
    for project in (DEMO, other):
        alone = detail.merged("demo", [empty, project])
        assert (alone.tracks, alone.alternate_locations) == (project.tracks, project.alternate_locations)
    agreed = detail.merged("demo", [DEMO, other])
    assert (agreed.tracks, agreed.alternate_locations) == ((HERE,), (THERE,))
    mixed = detail.merged("demo", [silent, DEMO])
    assert (mixed.tracks, mixed.alternate_locations) == ((), ())
    assert detail.merged("demo", [detail.with_files(DEMO, ())]).tracks == (HERE,)


def test_a_text_of_the_format_before_is_read() -> None:
    """Uploads are stored so: without it their times and yanks would be lost at an upgrade."""
    name, rows = (
        "demo",
        '{"filename":"demo-1.0.zip","url":"../../../../a/b/+f/1/demo-1.0.zip","hashes":{},"yanked":"bad"}',
    )
    head = f'{{"format":7,"rows":{len(rows)},"about":{{"serial":9}},"versions":["1.0"],"status":{{}}}}'
    found = detail.from_text(name, f"{head}\n{rows}\n\n")
    assert found is not None
    assert (found[0].versions, found[0].tracks, found[1]) == (("1.0",), (), {"serial": 9})
    assert detail.from_text(name, f"{head}\n{rows}\n\n".replace(":7,", ":6,")) is None
