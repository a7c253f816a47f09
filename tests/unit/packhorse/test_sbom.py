"""Tests of bills of materials, with the validator of CycloneDX's library and its copy of the schema."""

import json

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.pylock import Pylock

from packhorse import sbom
from packhorse.sbom import File, Part

SHA256 = "ab" * 32
WHEEL = File("flask-3.0-py3-none-any.whl", (("sha256", SHA256),))


def parsed(subject: Part | None, *parts: Part) -> dict[str, object]:
    """The document, after the official schema has let it pass."""
    text = sbom.document(subject, parts).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found: dict[str, object] = json.loads(text)
    return found


def test_a_document_names_the_application_and_its_packages_with_hashes_and_licenses() -> None:
    """All that a tool needs to look for vulnerabilities, and lawyers for licenses."""
    flask = Part("Flask", "3.0+acme.1", (WHEEL,), "BSD-3-Clause")
    found = parsed(Part("app", "1.0", license="MIT OR Apache-2.0"), flask)
    assert found["metadata"]["component"] == {  # type: ignore[index]
        "bom-ref": "pkg:pypi/app@1.0",
        "licenses": [{"expression": "MIT OR Apache-2.0"}],
        "name": "app",
        "purl": "pkg:pypi/app@1.0",
        "type": "application",
        "version": "1.0",
    }
    reference = {
        "type": "distribution",
        "url": WHEEL.filename,
        "hashes": [{"alg": "SHA-256", "content": SHA256}],
    }
    assert found["components"] == [
        {
            "bom-ref": "pkg:pypi/flask@3.0%2Bacme.1",
            "externalReferences": [reference],
            "licenses": [{"license": {"id": "BSD-3-Clause"}}],
            "name": "Flask",
            "purl": "pkg:pypi/flask@3.0%2Bacme.1",
            "type": "library",
            "version": "3.0+acme.1",
        }
    ]
    assert {"ref": "pkg:pypi/app@1.0", "dependsOn": ["pkg:pypi/flask@3.0%2Bacme.1"]} in found["dependencies"]  # type: ignore[operator]


def test_the_same_packages_give_the_same_bytes_in_any_order() -> None:
    """Neither a clock nor a random number is in it, and another package gives another serial number."""
    parts = [Part(f"demo-{number}", "1.0", (WHEEL,)) for number in range(20)]
    assert sbom.document(None, parts) == sbom.document(None, reversed(parts))
    assert b"timestamp" not in sbom.document(None, parts)
    assert parsed(None, *parts)["serialNumber"] != parsed(None, *parts[1:])["serialNumber"]


def test_hostile_or_odd_values_give_a_valid_document() -> None:
    """Names, licenses and hashes are what others wrote."""
    odd = [
        Part(
            "a",
            "1",
            (File("a b\n<script>.whl", (("sha256", "short"), ("blake3", SHA256), ("md5", "A" * 32))),),
        ),
        Part("b", "1 \x00 ?#/@", license='</script>" or \x1b[2J'),
        Part("c", "", license="AND AND ("),
        Part("d", "1", (File("", (("sha256", SHA256),)), File("", (("sha512", "c" * 128),)))),
        Part("d", "1", (WHEEL,), "MIT"),
    ]
    found = parsed(None, *odd)
    components: list[dict[str, object]] = found["components"]  # type: ignore[assignment]
    assert [each["name"] for each in components] == ["a", "b", "c", "d"]
    assert len(components[-1]["externalReferences"]) == 3  # type: ignore[arg-type]


def test_a_lock_gives_all_its_packages() -> None:
    """Also those for other platforms: who looks for a vulnerability looks at all that may be installed."""
    file = {"name": WHEEL.filename, "hashes": {"sha256": SHA256}}
    lock = Pylock.from_dict(
        {
            "lock-version": "1.0",
            "created-by": "test",
            "packages": [
                {"name": "flask", "version": "3.0", "wheels": [{**file, "url": "https://x.example.com/a"}]},
                {
                    "name": "pywin32",
                    "version": "306",
                    "marker": "sys_platform == 'win32'",
                    "sdist": {"name": "pywin32-306.tar.gz", "path": "a", "hashes": {"sha256": SHA256}},
                },
            ],
        }
    )
    assert sbom.of_lock(lock) == [
        Part("flask", "3.0", (WHEEL,)),
        Part("pywin32", "306", (File("pywin32-306.tar.gz", (("sha256", SHA256),)),)),
    ]
    assert b"example.com" not in sbom.document(None, sbom.of_lock(lock))


def test_the_license_is_the_expression_else_a_short_name_else_a_classifier() -> None:
    """Before PEP 639 many packages had the whole text of their license in one field."""
    head = b"Metadata-Version: 2.4\nName: demo\nVersion: 1.0\n"
    for lines, expected in (
        (b"License-Expression: MIT\nLicense: GPL\n", "MIT"),
        (b"License: BSD\nClassifier: License :: OSI Approved :: MIT License\n", "BSD"),
        (
            b"License: UNKNOWN\nClassifier: Topic :: X\nClassifier: License :: OSI Approved :: MIT License\n",
            "MIT License",
        ),
        (b"License: " + b"text " * 1000 + b"\n", ""),
        (b"License: one\n        two\n", ""),
        (b"", ""),
    ):
        assert sbom.of_metadata(head + lines + b"\nbody") == Part("demo", "1.0", license=expected)
