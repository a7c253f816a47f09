"""The promises of release.services.transfer: which copy is brought back, and how it gets there."""

import json
from collections.abc import Callable

import pytest

from packhorse.errors import PackhorseError
from release.services import answers, reach, transfer
from release.services.databases import Place

PLACE = Place("shop_production_db", "db", "production", "postgresql", "db2")


def described(
    name: str = "20260101T000000Z", origin: str = "shop_db@db2", **other: object
) -> dict[str, object]:
    """A copy as its host answers."""
    known = {"name": name, "database": PLACE.name, "kind": "postgresql", "version": "15", "size": 1}
    return {**known, "sha256": "0", "rows": 2, "tables": 1, "origin": origin, **other}


def copy(name: str, origin: str) -> answers.Backup:
    return answers.read(answers.Backup, described(name, origin), "vault")


OWN = [copy("20260101T000000Z", "shop_db@db2"), copy("20260102T000000Z", "shop_db@db2")]
LOST = [copy("20260101T000000Z", "shop_db@db1"), copy("20260105T000000Z", "shop_db@db1")]
EARLIER = [copy("20251231T000000Z", "db2")]
THIRD = [copy("20260105T000000Z", "shop_db@db3")]


@pytest.mark.parametrize(
    ("known", "wanted", "sender", "chosen"),
    [
        (OWN + LOST, None, None, OWN[1]),  # not the newest of all
        (OWN + LOST, "20260101T000000Z", None, OWN[0]),
        (OWN + LOST, "20260105T000000Z", None, LOST[1]),  # somebody has read its name in a list
        (OWN + LOST, None, "db1", LOST[1]),
        (OWN + LOST, "20260101T000000Z", "db1", LOST[0]),
        (EARLIER, None, None, EARLIER[0]),  # which had the host's name alone
    ],
)
def test_the_copy_of_the_databases_own_host_is_taken_unless_another_is_asked_for(
    known: list[answers.Backup], wanted: str | None, sender: str | None, chosen: answers.Backup
) -> None:
    """Whoever took over a host that has, or had, this service can bring copies with any time and content."""
    assert transfer.choose(known, PLACE, wanted, sender) == chosen


@pytest.mark.parametrize(
    ("known", "wanted", "sender", "message", "hint"),
    [
        (LOST, None, None, "others have: db1.", "restore db production --from db1"),
        (LOST + THIRD, LOST[1].name, None, "others have: db1, db3.", f"production {LOST[1].name} --from db3"),
        (OWN, "20260109T000000Z", None, "There is no backup 20260109T000000Z", "release services backups db"),
        (OWN, None, "db1", "There is no backup of shop_production_db from db1.", "backups db production"),
    ],
)
def test_where_it_is_not_clear_the_error_says_what_to_type(
    known: list[answers.Backup], wanted: str | None, sender: str | None, message: str, hint: str
) -> None:
    """When a host was lost, say."""
    with pytest.raises(PackhorseError) as raised:
        transfer.choose(known, PLACE, wanted, sender)
    assert message in raised.value.message
    assert hint in raised.value.hint


def test_one_bad_copy_is_left_out_and_named(ssh: Callable[[str], None]) -> None:
    """The others are what a lost host is brought back from."""
    bad = described("20260102T000000Z\x1b[2J"), described("20260103T000000Z", size=-1)
    listed = json.dumps({"copies": [described("20260104T000000Z-10"), *bad, described("20260104T000000Z-2")]})
    ssh(f"cat > /dev/null; cat <<'END'\n{listed}\nEND")
    found, failures = transfer.copies(reach.Host("vault"), PLACE)
    assert [each.name for each in found] == ["20260104T000000Z-2", "20260104T000000Z-10"]
    assert len(failures) == 2
    assert "'20260102T000000Z\\x1b[2J' of 'shop_db@db2'" in failures[0].message
    assert "vault answered what no program of ours does: size" in failures[1].message
