"""Names in the form of an upload."""

import pytest

from mirror.plugin.uploads import form
from mirror.plugin.uploads.archives import InvalidUploadError

BAD = [
    "",
    " ",
    "\0",
    "a\0b",
    "a/b",
    "../a",
    ".",
    "..",
    "-a",
    'a"b',
    "a'b",
    "a b",
    "a\nb",
    "<b>",
    "ä",
    "a" * 300,
]


@pytest.mark.parametrize("text", BAD)
def test_a_name_that_no_project_version_or_file_has_is_refused(text: str) -> None:
    """devpi makes paths and addresses of them, and answered 500."""
    good = {"name": "demo", "version": "1.0"}
    for texts, filename in (
        ({**good, "name": text}, "demo-1.0.zip"),
        ({**good, "version": text}, "demo-1.0.zip"),
        (good, text),
    ):
        with pytest.raises(InvalidUploadError):
            form.check(texts, filename)


@pytest.mark.parametrize("version", ["1.0", "1!2.0", "1.0+local.1", "2004d", "1.0-rc1", "v1"])
@pytest.mark.parametrize("name", ["demo", "Zope.Interface", "a", "a_b-c", "4suite"])
def test_real_names_are_taken(name: str, version: str) -> None:
    """Also from before PEP 440."""
    form.check({"name": name, "version": version}, f"{name}-{version}.tar.gz")


def test_documentation_has_no_name_of_a_file_and_may_have_no_version() -> None:
    """devpi names it."""
    form.check({"name": "demo"}, None)
