"""A devpi-server that only answers requests, on a folder that no other has served yet."""

import requests

from tests.support.devpi_servers import init_devpi, running_devpi
from tests.support.servers import Mirror, free_port, wait_until


def test_writes_work_without_a_server_that_was_there_before(mirror_server: Mirror) -> None:
    """Only the main process empties the folder of pages: it is to be there all the same."""
    folder = mirror_server.home / "requests-only"
    init_devpi(mirror_server, folder)
    with running_devpi(mirror_server, folder, free_port(), "--requests-only") as url:
        made = requests.put(f"{url}/someone", json={"password": "pw"}, timeout=30)
        assert made.status_code == 201, made.text
        page = f"{url}/root/pypi/+simple/iniconfig/"
        # A 503 asks to come again: the real upstream may be slow once.
        wait_until("the page", lambda: requests.get(page, timeout=60).status_code == 200, deadline=240)
