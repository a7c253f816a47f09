"""All that loads tables of its own answers alike when Debian's nftables.service flushes them."""

from pathlib import Path

from packhorse_service import redis

ROLES = Path(__file__).parents[3] / "ansible/roles"


def test_tables_come_back_after_each_flush() -> None:
    """Debian's unit flushes the ruleset at start, reload and stop; no other unit stops for it."""
    drop_ins = {
        "/etc/packhorse/firewall/rules.nft": (ROLES / "firewall/files/nftables.conf").read_text(),
        "/etc/packhorse/monitoring.nft": (ROLES / "monitoring/files/nftables.conf").read_text(),
        str(redis.RULES): redis._NFTABLES_UNIT,
    }
    for rules, text in drop_ins.items():
        assert [line for line in text.splitlines() if not line.startswith("#")] == [
            "[Service]",
            *(
                f"{when}=-/usr/sbin/nft --file {rules}"
                for when in ("ExecStartPost", "ExecReload", "ExecStopPost")
            ),
        ]
    assert not [unit for unit in ROLES.rglob("*.service*") if "PartOf=nftables" in unit.read_text()]
