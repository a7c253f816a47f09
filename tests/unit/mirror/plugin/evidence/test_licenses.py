"""Tests of what is read of METADATA."""

import pytest

from mirror.plugin.evidence import licenses
from mirror.plugin.policy import license_terms
from mirror.plugin.policy.evidence import License
from packhorse import metadata_headers


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


MIT = b"Classifier: License :: OSI Approved :: MIT License\n"


@pytest.mark.parametrize(
    "metadata",
    [
        MIT + b"License-Expression: MIT\nLicense-Expression: GPL-3.0-only\n\n",
        MIT + b"License-Expression: GPL-3.0-only\xff\n\n",
        MIT + b"License-Expression: GPL-3.0-only\xff\n",
        MIT + b"X: " + b"x" * metadata_headers.MOST + b"\nLicense-Expression: GPL-3.0-only\n\n",
        b"License-Expression: MIT" + b" " * licenses.LONGEST + b"AND GPL-3.0-only\n\n",
        MIT * 20 + b"Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)\n\n",
        b"License: MIT" + b" " * licenses.LONGEST + b"or not\n\n",
    ],
    ids=["twice", "no text", "no end", "too long", "long expression", "many classifiers", "long text"],
)
def test_what_cannot_be_read_to_its_end_is_no_license(metadata: bytes) -> None:
    """Else a project would state a license that the rule allows before the one that counts."""
    assert license_terms.of(licenses.read("1", metadata)) is None


def test_limits_are_reached_before_they_cut() -> None:
    """A text, classifiers and headers that just fit count as they are."""
    text = "x" * licenses.LONGEST
    assert licenses.read("1", f"License: {text}\n\n".encode()).text == text
    assert licenses.read("1", f"License: {text}x\n\n".encode()).text == f"{text[:-1]}…"
    most = licenses.read("1", MIT * licenses.MOST + b"\n")
    assert (len(most.classifiers), most.expression) == (licenses.MOST, "")
    head = b"License-Expression: MIT\nX: "
    fits = head + b"x" * (metadata_headers.MOST - len(head)) + b"\n\n"
    assert licenses.read("1", fits + b"A description of any length") == License("1", "MIT")
    assert licenses.read("1", b"x" + fits[:-2]).expression == licenses.UNREADABLE, "no end, and one too many"
    assert licenses.read("1", fits[:-2]) == License("1", "MIT"), "no description: this is all"


def test_an_expression_counts_whatever_classifiers_there_are() -> None:
    """PEP 639 has it replace them: a wheel with dozens of them states its license all the same."""
    many = MIT * (licenses.MOST + 1) + b"License-Expression: Apache-2.0\n\n"
    found = licenses.read("1", many)
    assert (found.expression, len(found.classifiers)) == ("Apache-2.0", licenses.MOST)
    assert license_terms.of(found) == "Apache-2.0"


def test_a_problem_of_another_field_does_not_hide_the_license() -> None:
    """Keywords in another encoding are none of this rule's business."""
    metadata = b"Name: demo\nName: demo\nSummary: \xff\nLicense-Expression: MIT\n\n"
    assert licenses.read("1", metadata) == License("1", "MIT")
