"""Tests of what is read of METADATA."""

from mirror.plugin.evidence import licenses
from mirror.plugin.policy.evidence import License


def test_the_license_is_in_the_headers() -> None:
    """Not in the description, which is longer than all else and the project's own text."""
    metadata = (
        b"Name: demo\r\nLicense: BSD\r\nClassifier: License :: OSI Approved :: BSD License\r\n"
        b"Classifier: Topic :: Demo\r\n\r\nLicense-Expression: MIT\r\n"
    )
    assert licenses.read("1", metadata) == License(
        "1", "", ("License :: OSI Approved :: BSD License",), "BSD"
    )
    assert licenses.read("1", b"License-Expression: MIT\n\n") == License("1", "MIT")
    assert licenses.read("1", b"") == License("1")
    assert len(licenses.read("1", b"License: " + b"x" * 60_000 + b"\n\n").text) == licenses.LONGEST
