"""Names in the form of an upload."""

import io
from types import SimpleNamespace

import pytest
from webob.multidict import MultiDict

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


@pytest.mark.parametrize("name", ["version", ":action", "name", "attestations", "<b>"])
def test_a_file_in_place_of_a_text_is_refused(name: str) -> None:
    """Sent once as a text and once as a file, we looked at the one and devpi at the other: 500."""
    file = SimpleNamespace(filename="x.txt", file=io.BytesIO(b"doc_upload"))
    with pytest.raises(InvalidUploadError, match="is a file"):
        form.texts(MultiDict([("name", "demo"), ("version", "1.0"), (name, file)]))
    good = MultiDict([("name", "demo"), ("content", file), ("gpg_signature", file)])
    assert form.texts(good) == {"name": "demo"}


@pytest.mark.parametrize(
    "text", ["<script>", ">=3\n", "3.8", "python3", ">=3, <script>", ">=" + "9" * 600, "\0", "@", ">=3.5.*"]
)
def test_a_required_python_that_is_no_specifier_is_refused(text: str) -> None:
    """The page gives it to every installer; so does the public index."""
    with pytest.raises(InvalidUploadError, match="requires_python"):
        form.check({"name": "demo", "version": "1.0", "requires_python": text}, "demo-1.0.zip")


@pytest.mark.parametrize(
    "text", ["", ">=3.8", ">=2.7,!=3.0.*", "~=3.9", "> 3.6, < 4", ">=3.8,<4.0.0a0", "==3.*"]
)
def test_specifiers_are_taken(text: str) -> None:
    """As build tools write them."""
    form.check({"name": "demo", "version": "1.0", "requires_python": text}, "demo-1.0.zip")
