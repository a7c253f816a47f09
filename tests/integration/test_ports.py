"""Applications on a port behind the nginx of a provisioned server, replaced under load."""

import http.client
import threading
import time
from collections.abc import Iterator

import pytest

from tests import hosts
from tests.hosts.company import Company, company
from tests.integration.apps import NAME, app_wheel
from tests.integration.helpers import BIN, wait_until

pytestmark = [*hosts.MARKS, pytest.mark.needs("nginx")]

SOCKET = "web: python -m tiny\n"
PORT = "web: python -m http.server --bind 127.0.0.1 $PORT\n"


@pytest.fixture
def shop() -> Iterator[Company]:
    """A server with nginx; 0.1.0 listens on a socket, 0.2.0 and 0.3.0 on ports."""
    with company("web1") as made:
        settings = made.project / "release.toml"
        index = f'index = "{made.outside.url}/company/dev"'
        text = settings.read_text().replace(f'index = "{made.index}"', index)
        settings.write_text(f'{text}\n[health]\npath = "/"\n')
        for number, line in enumerate((SOCKET, PORT, PORT), 1):
            wheel = app_wheel(f"0.{number}.0", procfile=line)
            (made.project / wheel.filename).write_bytes(wheel.content)
        login = ("--username", "company", "--password", made.outside.credentials["company"])
        repository = ("--repository-url", f"{made.outside.url}/company/dev/")
        wheels = made.project.glob("*.whl")
        made.outside.run(BIN / "twine", "upload", "--non-interactive", *repository, *login, *wheels)
        made.release("provision", "production")
        yield made


def status(host: hosts.Host) -> int:
    """What nginx answers; 0 for no answer."""
    connection = http.client.HTTPConnection(host.address, timeout=30)
    try:
        connection.request("GET", "/", headers={"Host": "shop.example.com"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def test_no_request_fails_from_a_socket_to_a_port_and_back(shop: Company) -> None:
    """nginx has to be told, by a helper that alone may; after a power cut everything is as it was."""
    host = shop.apps[0]
    answers: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.append(status(host))
            time.sleep(0.003)

    shop.release("deploy", "production", f"{NAME}==0.1.0")
    load = threading.Thread(target=ask)
    load.start()
    try:
        for version in ("0.2.0", "0.3.0", "0.1.0"):
            shop.release("deploy", "production", f"{NAME}=={version}")
        shop.release("rollback", "production")
    finally:
        stop.set()
        load.join()
    assert set(answers) == {200}
    assert len(answers) > 200
    host.power_cut()
    host.boot()
    wait_until("the application", lambda: status(host) == 200)
