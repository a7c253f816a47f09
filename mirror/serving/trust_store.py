"""Find the file of certificates to trust for calls to the upstream."""

import ssl
from collections.abc import Mapping


def path(environment: Mapping[str, str]) -> str | None:
    """The file; None leaves devpi its own list.

    devpi looks at REQUESTS_CA_BUNDLE, then CURL_CA_BUNDLE, then takes a list without the authority
    of a company (devpi_server/httpclient.py). Before that list comes the machine's:
    $SSL_CERT_FILE, else where its OpenSSL looks.
    """
    chosen = environment.get("REQUESTS_CA_BUNDLE") or environment.get("CURL_CA_BUNDLE")
    return chosen or ssl.get_default_verify_paths().cafile
