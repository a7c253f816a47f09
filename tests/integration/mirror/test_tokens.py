"""devpi-tokens beside our plugin, with the options of `mirror serve`."""

import base64
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.devpi_servers import running_devpi
from tests.support.mirror_and_upstream import mirror_of
from tests.support.servers import BIN, Mirror, free_port
from tests.support.team_indexes import new_team
from tests.support.upstream import Upstream


@pytest.fixture
def plugins(mirror_server: Mirror, tmp_path: Path) -> Path:
    """A folder with devpi-tokens."""
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path)
    index = ("--index-url", mirror_server.index_url("root/pypi"))
    needed = ("devpi-tokens==1.1.0", "pymacaroons==0.13.0", "pynacl", "six")
    mirror_server.run(BIN / "python", *install, *index, *needed)
    return tmp_path


def test_users_make_tokens_of_their_own_and_of_nobody_else(plugins: Path) -> None:
    """Only root may change users, and devpi-tokens asks whether one may change the user."""
    with Upstream() as upstream, mirror_of(upstream) as mirrored:
        team, other = new_team(mirrored), new_team(mirrored)
        mirrored.mirror.run(BIN / "mirror", "stop")
        folder = mirrored.mirror.home / "mirror" / "server"
        options = ("--restrict-modify", "root")
        with running_devpi(mirrored.mirror, folder, free_port(), *options, plugins=plugins) as url:
            login = _login(url, team.name, "pw")
            token = _call("POST", f"{url}/{team.name}/+token-create", login, 200)["result"]["token"]
            assert list(_call("GET", f"{url}/{team.name}/+tokens", login, 200)["result"]["tokens"])
            _call("POST", f"{url}/{other.name}/+token-create", login, 403)
            _call("PATCH", f"{url}/{team.name}", login, 403, json={"email": "a@example.com"})
            with_token = _header(team.name, token)
            _call("POST", f"{url}/{team.name}/+token-create", with_token, 403)
            assert _call("GET", f"{url}/+api", with_token, 200)["result"]["authstatus"][0] == "ok"


def _login(url: str, user: str, password: str) -> dict[str, str]:
    body = {"user": user, "password": password}
    return _header(user, _call("POST", f"{url}/+login", {}, 200, json=body)["result"]["password"])


def _header(user: str, secret: str) -> dict[str, str]:
    return {"X-Devpi-Auth": base64.b64encode(f"{user}:{secret}".encode()).decode()}


def _call(method: str, url: str, headers: dict[str, str], status: int, **more: Any) -> Any:  # noqa: ANN401 (JSON)
    accept = {"Accept": "application/json", **headers}
    answer = requests.request(method, url, headers=accept, timeout=60, **{"json": {}, **more})
    assert answer.status_code == status, f"{method} {url}: {answer.status_code} {answer.text}"
    return answer.json()
