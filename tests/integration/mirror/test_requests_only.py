"""A devpi-server that only answers requests, on a folder that no other has served yet."""

import requests

from tests.support.devpi_servers import init_devpi, running_devpi
from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored, new_name
from tests.support.servers import free_port


def test_writes_work_without_a_server_that_was_there_before(mirrored: Mirrored) -> None:
    """Only the main process empties the folder of pages: it is to be there all the same."""
    name = new_name("first")
    mirrored.upstream.add(name, wheel(name, "1.0"))
    folder = mirrored.mirror.home / "requests-only"
    init_devpi(mirrored.mirror, folder)
    with running_devpi(mirrored.mirror, folder, free_port(), "--requests-only") as url:
        made = requests.put(f"{url}/someone", json={"password": "pw"}, timeout=60)
        assert made.status_code == 201, made.text
        cache = {"type": "mirror", "mirror_url": mirrored.upstream.url, "mirror_no_project_list": True}
        requests.put(
            f"{url}/someone/cache", json=cache, auth=("someone", "pw"), timeout=60
        ).raise_for_status()
        page = requests.get(f"{url}/someone/cache/+simple/{name}/", timeout=60)
        assert page.status_code == 200, page.text
