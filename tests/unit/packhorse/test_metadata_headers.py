"""Headers of METADATA: which ones are kept, and that parsers of mail read the same of them."""

from email import message_from_bytes

import pytest

from packhorse import metadata_headers

TEXTS = [
    b"Name: demo\r\nSummary: a\r\n b\r\nX-Other: c\r\n d\r\nLicense: MIT\r\n\r\nLicense: GPL\r\n",
    b"Summary: a\rLicense: MIT\r\rLicense: GPL\r",
    b"Summary: a\nno header\nLicense: GPL\n\nbody",
    b" first\nlicense : a\nLICENSE: MIT\n\n",
    b"From me\nSummary: a\nFrom you\nLicense: MIT\n\n",
    b"License: MIT\nLicense: GPL\n\t or MIT\n",
    b": a\n b\nLicense: MIT\n\n",
    b"\nLicense: MIT\n\n",
    b"License: \xff\n\n",
    b"",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_parser_of_mail_reads_the_same_of_known_fields(text: bytes) -> None:
    """Else a license would count that installers do not see, or none that they do."""
    kept = message_from_bytes(metadata_headers.split(text).headers)
    whole = message_from_bytes(text)
    for field in ("Summary", "License"):
        assert [str(each) for each in kept.get_all(field, [])] == [
            str(each) for each in whole.get_all(field, [])
        ]
    assert set(map(str.lower, kept)) <= {"name", "summary", "license"}


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\n\r\n", b"\r\r"])
def test_a_body_is_all_after_the_first_empty_line(end: bytes) -> None:
    """A description may have any length."""
    body = b"x" * metadata_headers.MOST + end + b"y"
    assert metadata_headers.split(b"Name: demo" + end + body)[1:] == (body, False)


def test_fields_of_other_names_are_left_out() -> None:
    """12,000 of them in 64 kB kept a parser busy for 15 s, at each question of anybody."""
    many = b"".join(b"%x:\n" % number for number in range(10_000))
    assert metadata_headers.split(b"Summary: a\n" + many + b"\n") == (b"Summary: a\n", b"", False)


def test_headers_without_an_end_are_cut() -> None:
    """A flag says so, for callers that need all of them."""
    found = metadata_headers.split(b"License: MIT\n" * 50_000)
    assert (len(found.headers) <= metadata_headers.MOST, found.body, found.is_cut) == (True, b"", True)
