"""What the METADATA of a wheel states about its license. Pure."""

from packaging.metadata import parse_email

from mirror.plugin.policy.evidence import License

HEADERS = 64 * 1024  # bytes that are read; what comes after them is a description
LONGEST = 500  # characters of a field: of a whole text, nobody tells which license it is
MOST = 20  # classifiers


def read(sha256: str, metadata: bytes) -> License:
    """The license that `metadata` of the wheel with this hash states."""
    headers = metadata[:HEADERS].replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    found, _ = parse_email(headers)
    classifiers = [each for each in found.get("classifiers", ()) if each.startswith("License :: ")]
    return License(
        sha256,
        found.get("license_expression", "")[:LONGEST],
        tuple(each[:LONGEST] for each in classifiers[:MOST]),
        found.get("license", "")[:LONGEST],
    )
