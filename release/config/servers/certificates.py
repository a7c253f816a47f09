"""Settings of release.toml about TLS: [acme], which authority issues certificates, and HSTS."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator

from packhorse import settings
from packhorse.settings import Url, matching
from release.config.value_types import inside_project

_SECONDS = {"d": 86400, "w": 7 * 86400, "y": 365 * 86400}


def _by_https(url: str) -> str:
    if not url.startswith("https://"):
        raise ValueError("is reached by https:// (RFC 8555, 6.1)")
    return url


def _agreed(agreed: bool) -> bool:  # noqa: FBT001  # as pydantic calls it
    if not agreed:
        raise ValueError("no authority issues a certificate to who does not agree to its terms")
    return agreed


# Both become arguments of a program and parts of paths.
Contact = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9._+-]*@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?",
        'an address for mail, such as "ops@example.com"',
        254,
    ),
]
MaxAge = Annotated[
    str, matching(r"0|[1-9][0-9]{0,3}[dwy]", 'a time, such as "1y", "4w" or "1d" ("0": browsers forget it)')
]


class Acme(settings.Settings):
    """The authority that issues certificates by ACME (RFC 8555): the URL of its `directory`.

    It writes to `contact` about problems. `ca_file`, in the project, has the certificates to trust when it is
    asked, if it is a private one (None: those of the host). `terms_agreed`: somebody has read its terms.
    """

    directory: Annotated[Url, AfterValidator(_by_https)]
    contact: Contact
    terms_agreed: Annotated[bool, AfterValidator(_agreed)]
    ca_file: Annotated[str, AfterValidator(inside_project)] | None = None


def seconds(max_age: str) -> int:
    """A MaxAge in seconds."""
    return int(max_age[:-1]) * _SECONDS[max_age[-1]] if max_age != "0" else 0


def check_domains(domains: Sequence[str] | None) -> None:
    """Raise ValueError when no certificate can be had for `domains` of a target over HTTP (RFC 8555, 8.3)."""
    if not domains:
        raise ValueError('tls = "acme": name what the certificate is for: domains = ["shop.example.com"]')
    wildcards = [name for name in domains if "*" in name]
    if wildcards:
        raise ValueError(
            f'tls = "acme": an authority asks each domain itself, and {wildcards[0]} is none: list them '
            "one by one, or bring a certificate for all: tls_certificate"
        )
