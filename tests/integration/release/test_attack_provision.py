"""Attacks on `release provision`: the users of an application try to get root to write where they want."""

from collections.abc import Iterator

import pytest

from tests.support import hosts
from tests.support.hosts.bare_servers import APP, Company, company

pytestmark = hosts.MARKS

FOLDER = f"/srv/apps/{APP}"
# What root must not touch through a link: a folder of its own, its keys, files of the system.
PREPARE = "mkdir -p /root/own; echo secret > /root/own/file; cp /etc/shadow /root/shadow"
KEEP = f"cp -a {FOLDER} /var/before"
RESTORE = f"find {FOLDER} -mindepth 1 -delete; cp -a /var/before/. {FOLDER}"
STATE = "stat -c '%U %G %a %s %n' /root /root/own/* /root/shadow /root/.ssh /root/.ssh/* /etc /etc/shadow"


@pytest.fixture(scope="module")
def shop() -> Iterator[Company]:
    """A host that was provisioned once, from an index on this machine."""
    with company("web1") as made:
        settings = made.project / "release.toml"
        settings.write_text(settings.read_text().replace(made.index, made.outside.index_url("company/dev")))
        made.release("provision", "production")
        made.apps[0].ssh("sh", "-c", f"{PREPARE}; {KEEP}")
        yield made


SOFT = (
    "mv .ssh .old; ln -s /root/.ssh .ssh; ln -sf /root/own/file circus.ini; "
    "for name in conf.d log agent cache releases; do rm -rf $name; ln -s /root/own $name; done"
)
# As a kernel without fs.protected_hardlinks lets users make them.
HARD = "for name in .ssh/authorized_keys circus.ini; do ln -f /root/shadow $name; done"
KEYS = "ln -sf /root/.ssh/authorized_keys .ssh/authorized_keys; ln -s /root/shadow .ssh/.authorized_keys"


@pytest.mark.parametrize(
    ("user", "attack"), [(APP, SOFT), (APP, KEYS), ("root", HARD)], ids=["folders", "keys", "hard links"]
)
def test_links_of_the_application_s_user_lead_root_nowhere(shop: Company, user: str, attack: str) -> None:
    """All below /srv/apps/APP is that user's to replace between two runs: so root makes nothing there."""
    web1 = shop.apps[0]
    web1.ssh("sh", "-c", RESTORE)
    before = web1.ssh("sh", "-c", STATE).stdout
    web1.ssh("runuser", "-u", user, "--", "sh", "-c", f"cd {FOLDER}; {attack}")
    shop.release("provision", "production", status=None)
    assert web1.ssh("sh", "-c", STATE).stdout == before
