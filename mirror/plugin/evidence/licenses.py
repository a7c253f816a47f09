"""Read the license that the METADATA of a wheel states. Pure."""

from packaging.metadata import parse_email

from mirror.plugin.policy.evidence import License
from packhorse import metadata_headers

LONGEST = 500  # characters of a field: of a whole text, nobody tells which license it is
MOST = 20  # classifiers
UNREADABLE = "…"  # no expression has it (PEP 639)


def read(sha256: str, metadata: bytes) -> License:
    """The license that `metadata` of the wheel with this hash states.

    What is stated twice, or cannot be read to its end, is no license that anybody can tell: what else is
    stated must not count instead.
    """
    headers, _, is_cut = metadata_headers.split(metadata)
    found, unread = parse_email(headers)
    classifiers = [each for each in found.get("classifiers", ()) if each.startswith("License :: ")]
    expression = found.get("license_expression", "")
    if "license-expression" in unread:
        expression = f"{' / '.join(unread['license-expression'])} {UNREADABLE}"
    elif is_cut or (len(classifiers) > MOST and not expression):
        expression = UNREADABLE
    return License(
        sha256,
        _cut(expression),
        tuple(map(_cut, classifiers[:MOST])),
        _cut(found.get("license", "")),
    )


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}{UNREADABLE}"
