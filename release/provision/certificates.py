"""Variables of Ansible about the certificate of a target, for the roles nginx and acme."""

from pathlib import Path
from typing import Any

from packhorse.errors import PackhorseError
from release.config.release_toml import ReleaseConfig
from release.config.servers import certificates
from release.config.target.target import Target
from release.provision import addresses


def of(config: ReleaseConfig, project: Path, target: Target, host: str) -> dict[str, Any]:
    """The variables of `host`, which has `target` or is its balancer, without their prefix.

    Certificates of [acme] are where clients arrive: the authority asks any of those hosts for the proof that
    one of them wants a certificate. Hosts behind a balancer pass the question on to it: DNS may still lead to
    them.
    Raises PackhorseError when the file of [acme] is not there, or another host has no address.
    """
    arrive = (target.balancer.hosts if target.balancer else target.hosts) or []
    here = host in arrive
    acme = config.acme if here and target.tls else None
    return {
        "tls_certificate": target.tls_certificate,
        "tls_certificate_key": target.tls_certificate_key,
        "hsts": certificates.seconds(target.hsts) if here and target.hsts else None,
        "acme": _authority(acme, project) if acme else {},
        "acme_others": [
            address for other in arrive if other != host for address in addresses.of(config, other)
        ]
        if target.tls
        else [],
    }


def _authority(acme: certificates.Acme, project: Path) -> dict[str, str]:
    return {
        "directory": acme.directory,
        "contact": acme.contact,
        "ca": _text(project / acme.ca_file) if acme.ca_file else "",
    }


def _text(path: Path) -> str:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise PackhorseError(f"{path} cannot be read: {error}", "See acme.ca_file in release.toml.") from None
    if "-----BEGIN CERTIFICATE-----" not in text or "PRIVATE KEY" in text:
        raise PackhorseError(
            f"{path} is no certificate in PEM, or has a private key besides.",
            "Name the certificates of the authority in release.toml: acme.ca_file",
        )
    return text
