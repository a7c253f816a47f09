"""Where the files of a mirror are kept."""

from types import SimpleNamespace

import pytest
from devpi_common.url import URL
from devpi_server.filestore import key_from_link
from devpi_server.keyfs_types import PTypedKey

from mirror.plugin import entries, file_facts
from mirror.plugin.file_facts import FileFacts

KEYFS = SimpleNamespace(
    STAGEFILE=PTypedKey(None, "{user}/{index}/+f/{hashdir_a}/{hashdir_b}/{filename}", dict, "STAGEFILE"),  # type: ignore[arg-type]
    PYPIFILE_NOMD5=PTypedKey(None, "{user}/{index}/+e/{dirname}/{basename}", dict, "PYPIFILE_NOMD5"),  # type: ignore[arg-type]
)


@pytest.mark.parametrize(
    ("url", "hashes"),
    [
        ("https://files.example.com/a/torch-2.0%2Bcpu-py3-none-any.whl", {"sha256": "a" * 64}),
        ("https://files.example.com/a/b-1.0.zip?signature=x", {"md5": "b" * 32}),
        ("https://files.example.com/a/b-1.0.zip", {"blake2b": "d" * 64, "sha256": "a" * 64}),
        ("https://files.example.com/a/b%20c-1.0.zip", {"sha1": "c" * 40}),
        ("https://files.example.com/a/b-1.0.zip", {}),
    ],
)
def test_a_file_is_kept_where_devpi_keeps_it(url: str, hashes: dict[str, str]) -> None:
    """Files that devpi cached before us must be found, and devpi must find ours when we are gone."""
    link = URL(url).replace(fragment=file_facts.best_hash(hashes))
    devpis = key_from_link(KEYFS, link, "root", "pypi").relpath  # type: ignore[arg-type]
    assert entries.path_of(KEYFS, "root/pypi", FileFacts("x", "", url, hashes)) == devpis
