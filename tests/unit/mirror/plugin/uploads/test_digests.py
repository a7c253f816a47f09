"""Digests that the form of an upload states."""

import hashlib
import io

import pytest

from mirror.plugin.uploads import digests

CONTENT = b"content"
RIGHT = {
    "md5_digest": hashlib.md5(CONTENT, usedforsecurity=False).hexdigest(),
    "sha256_digest": hashlib.sha256(CONTENT).hexdigest(),
    "blake2_256_digest": hashlib.blake2b(CONTENT, digest_size=32).hexdigest(),
}


@pytest.mark.parametrize(
    "form", [{}, RIGHT, {"md5_digest": ""}, {name: value.upper() for name, value in RIGHT.items()}]
)
def test_right_digests_and_none_are_fine(form: dict[str, str]) -> None:
    """The client of devpi states none; hexadecimal digits have two cases. The file can be read afterwards."""
    file = io.BytesIO(CONTENT)
    assert digests.wrong(form, file) == []
    assert file.read() == CONTENT


@pytest.mark.parametrize("field", RIGHT)
def test_a_wrong_digest_is_named(field: str) -> None:
    """A file that was cut on its way has others."""
    assert digests.wrong(RIGHT | {field: "0" * len(RIGHT[field])}, io.BytesIO(CONTENT)) == [field]
    assert digests.wrong({field: RIGHT[field]}, io.BytesIO(CONTENT[:-1])) == [field]
