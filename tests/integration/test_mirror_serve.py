"""`mirror serve`, `stop` and `status` with a real devpi-server."""

import json

import requests

from tests.integration.helpers import BIN, Mirror


def test_a_mirror_made_by_init_and_serve_answers_and_has_the_declared_indexes(mirror_server: Mirror) -> None:
    """Everything else stands on this."""
    report = json.loads(mirror_server.run(BIN / "mirror", "status", "--json").stdout)
    assert report["url"] == mirror_server.url
    assert [index["name"] for index in report["indexes"]] == ["company/dev", "company/prod", "root/pypi"]
    page = requests.get(f"{mirror_server.index_url('company/dev')}six/", timeout=60)
    assert page.status_code == 200
    assert "six-1.16.0" in page.text
