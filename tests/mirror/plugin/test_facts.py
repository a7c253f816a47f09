"""The facts about files: stored in devpi's dict, read again, merged."""

from mirror.plugin import facts
from mirror.plugin.facts import ProjectFacts
from mirror.plugin.file_facts import FileFacts

EVERYTHING = FileFacts(
    filename="demo-1.0-py3-none-any.whl",
    path="root/pypi/+f/abc/0123456789abc/demo-1.0-py3-none-any.whl",
    url="https://files.example.com/demo-1.0-py3-none-any.whl",
    hashes={"sha256": "abc0123456789abc", "blake2b": "ffff"},
    requires_python=">=3.8",
    yanked="broken",
    size=12,
    upload_time="2024-01-02T03:04:05.678900Z",
    core_metadata={"sha256": "0000"},
    provenance="https://example.com/provenance",
)
PLAIN = FileFacts(
    "demo-1.0.zip", "root/pypi/+e/files_example_com/demo-1.0.zip", yanked=True, core_metadata=True
)
DEMO = ProjectFacts("demo", (EVERYTHING, PLAIN), ("1.0", "2.0"), {"status": "archived"})


def test_everything_that_is_stored_is_read_again() -> None:
    """What an upstream said must survive devpi's storage, whole."""
    value = facts.stored(DEMO, page="https://example.com/simple/demo/")
    assert facts.load("demo", value) == (DEMO, {"page": "https://example.com/simple/demo/"})
    assert facts.is_whole(value)


def test_devpis_own_lists_can_be_had() -> None:
    """Its own views read them."""
    value = facts.devpis_lists(DEMO)
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
    file = FileFacts("demo-1.0.zip", "root/pypi/+f/a/b/demo-1.0.zip", hashes={"md5": "00"}, yanked="old")
    assert facts.load("demo", value) == (ProjectFacts("demo", (file,)), None)
    assert facts.load("demo", {}) == (ProjectFacts("demo"), None)
    assert not facts.is_whole(value)


def test_what_a_value_is_about_can_be_asked_without_reading_it() -> None:
    """On every request; another page that begins alike is another page."""
    value = facts.stored(DEMO, page="https://example.com/simple/demo/", fetched=1)
    assert facts.is_about(value, page="https://example.com/simple/demo/")
    assert facts.is_about(value, page="https://example.com/simple/demo/", fetched=1)
    assert not facts.is_about(value, page="https://example.com/simple/")
    assert not facts.is_about(value, page="https://example.com/simple/demo/", fetched=12)
    assert not facts.is_about({"links": []}, page="https://example.com/simple/demo/")


def test_another_format_counts_as_stored_without_us() -> None:
    """A later version of the plugin must be able to change what it stores."""
    value = facts.stored(DEMO)
    value[facts.STORED] = value[facts.STORED].replace(f'"format":{facts.FORMAT},', '"format":0,')
    assert facts.load("demo", value)[1] is None


def test_the_first_index_that_has_a_file_wins_it() -> None:
    """As devpi resolves inheritance; versions are those of all, a status is the first that is stated."""
    own = ProjectFacts("demo", (FileFacts("demo-1.0.zip", "company/dev/+f/x/y/demo-1.0.zip"),), ("1.0",))
    shown = facts.merged("demo", [own, DEMO])
    assert shown.files == (own.files[0], EVERYTHING)
    assert shown.versions == ("1.0", "2.0")
    assert shown.status == {"status": "archived"}
