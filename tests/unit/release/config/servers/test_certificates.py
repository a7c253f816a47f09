"""The promises of release.config.servers.certificates."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.config import release_toml
from release.config.servers import certificates
from tests.support import documents

ACME = """[acme]
directory = "https://acme.example.com/directory"
contact = "ops@example.com"
terms_agreed = true
"""
TARGET = '[targets.production]\nhosts = ["web1"]\ndomains = ["shop.example.com"]\ntls = "acme"\n'


def load(folder: Path, text: str) -> release_toml.ReleaseConfig:
    (folder / "release.toml").write_text(f'app = "shop"\n{text}')
    return release_toml.load(folder)


def test_a_target_says_acme_and_one_table_says_who_issues(tmp_path: Path) -> None:
    """The authority is the same for all targets of a project."""
    found = load(tmp_path, f"{TARGET}{ACME}")
    assert found.targets["production"].tls == "acme"
    assert found.acme == certificates.Acme(
        directory="https://acme.example.com/directory", contact="ops@example.com", terms_agreed=True
    )


def test_the_settings_of_the_page_are_valid(tmp_path: Path) -> None:
    """An example that is not tested rots."""
    (text,) = [block.text for block in documents.blocks("certificates.md") if block.language == "toml"]
    found = load(tmp_path, text)
    assert found.acme
    assert found.targets["production"].tls == "acme"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TARGET, r'tls = "acme" needs an authority: \[acme\] directory, contact and terms_agreed'),
        (f"{TARGET}{ACME}".replace("true", "false"), r"acme\.terms_agreed: no authority issues"),
        (f"{TARGET}{ACME}".replace("terms_agreed = true\n", ""), r"acme\.terms_agreed: field required"),
        (f"{TARGET}{ACME}".replace("https:", "http:"), r"acme\.directory: is reached by https"),
        (f"{TARGET}{ACME}".replace("shop.", "*."), r"each domain itself, and \*\.example\.com is none"),
        (f"{TARGET}{ACME}".replace('domains = ["shop.example.com"]\n', ""), "name what the certificate is"),
        (f"{TARGET}{ACME}".replace('"shop.example.com"', ""), "name what the certificate is for"),
        (f"{TARGET}{ACME}".replace("shop.example.com", "-x.example.com"), r"domains\.0: .* is not a domain"),
        (
            f"{TARGET}{ACME}".replace("shop.example.com", r"a.example.com\n;"),
            r"domains\.0: [^,]* is not a domain",
        ),
        (f"{TARGET}{ACME}".replace("ops@", "-h@"), r'acme\.contact: "-h@example\.com" is not an address'),
        (f"{TARGET}{ACME}".replace("ops@", r"ops\n@"), r"acme\.contact: "),
        (f"{TARGET}{ACME}".replace("ops@", "../ops@"), r"acme\.contact: "),
        (f'{TARGET}{ACME}ca_file = "../ca.pem"\n', r"acme\.ca_file: .* is not a path inside the project"),
        (f'{TARGET}hsts = "1y; x"\n{ACME}', r"hsts: .* is not a time, such as"),
        ('[targets.a]\nhosts = ["web1"]\nhsts = "1y"\n', "hsts is for a target with TLS"),
    ],
)
def test_what_no_authority_could_issue_is_refused_here(tmp_path: Path, text: str, said: str) -> None:
    """Each becomes part of nginx's configuration, of an argument list, or of a path."""
    with pytest.raises(PackhorseError, match=said):
        load(tmp_path, text)


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("1d", 86400), ("4w", 2419200), ("1y", 31536000)])
def test_times_of_hsts_are_seconds_in_the_header(text: str, seconds: int) -> None:
    """RFC 6797, 6.1.1."""
    assert certificates.seconds(text) == seconds
