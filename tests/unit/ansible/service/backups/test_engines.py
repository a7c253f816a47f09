"""What the engines make of the words of pg_restore and mariadb-dump."""

import pytest
from packhorse_service.backups import commands, mariadb, postgresql
from packhorse_service.backups.processes import BackupError

LISTED = """\
;
; Archive created at 2026-01-01 00:00:00 UTC
;     dbname: shop_production_db
2; 3079 16385 EXTENSION - pgcrypto
3462; 0 0 COMMENT - EXTENSION pgcrypto
215; 1259 16422 TABLE public ACL owner
3463; 0 0 ACL public TABLE p owner
2100; 826 16500 DEFAULT ACL public DEFAULT PRIVILEGES FOR TABLES owner
3470; 0 0 COMMENT public TABLE p owner
""".splitlines()


def test_rights_of_other_roles_are_a_part_of_their_own() -> None:
    """A role of the other cluster that is not here must not keep the data from coming back."""
    objects, rights = postgresql.split(LISTED)
    assert [line.split(";")[0] for line in rights] == ["3463", "2100"]
    assert [line.split(";")[0] for line in objects[3:]] == ["2", "215", "3470"]


@pytest.mark.parametrize(
    ("line", "without"),
    [
        (
            b"/*!50003 CREATE*/ /*!50017 DEFINER=`a``b`@`%`*/ /*!50003 TRIGGER tr BEFORE INSERT\n",
            b"/*!50003 CREATE*/ /*!50003 TRIGGER tr BEFORE INSERT\n",
        ),
        (
            b"/*!50106 CREATE*/ /*!50117 DEFINER=`root`@`localhost`*/ /*!50106 EVENT ev\n",
            b"/*!50106 CREATE*/ /*!50106 EVENT ev\n",
        ),
        (b"CREATE DEFINER=`root`@`localhost` PROCEDURE `pp`()\n", b"CREATE PROCEDURE `pp`()\n"),
        (
            b"/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */\n",
            b"/*!50013 SQL SECURITY DEFINER */\n",
        ),
        (b"INSERT INTO `t` VALUES ('CREATE DEFINER=`a`@`b` x');\n", None),
        (b" CREATE DEFINER=`a`@`b` PROCEDURE\n", None),
    ],
)
def test_who_restores_is_the_definer(line: bytes, without: bytes | None) -> None:
    """To name another one takes a right over all databases; rows stay as they are."""
    assert mariadb.without_definer(line) == (line if without is None else without)


def test_rows_of_a_dump_are_counted_wherever_its_pieces_end() -> None:
    """One INSERT for each row; a value has no newline."""
    text = (
        b"INSERT INTO `a``b` VALUES (1);\nINSERT INTO `c` VALUES ('x');\nINSERT INTO `c` (`d`) VALUES (1);\n"
    )
    text += b"-- Dump completed on 2026-01-01\n"
    for size in (1, 7, len(text)):
        counter = mariadb.Counter()
        for start in range(0, len(text), size):
            counter.feed(text[start : start + size])
        assert (counter.rows, counter.complete) == ({"a`b": 1, "c": 2}, True)


def test_lines_of_a_trigger_are_no_rows() -> None:
    """Such a backup could not be restored: the table would have other rows than it says."""
    counter = mariadb.Counter()
    counter.feed(
        b"CREATE TABLE `empty` (\nCREATE TABLE `audit` (\nINSERT INTO `audit` VALUES (1);\nDELIMITER ;;\n"
        b"/*!50003 CREATE*/ /*!50003 TRIGGER tr BEFORE INSERT ON `audit` FOR EACH ROW BEGIN\n"
        b"INSERT INTO `audit` VALUES (1);\nEND */;;\nDELIMITER ;\nINSERT INTO `audit` (`a`) VALUES (2);\n"
    )
    assert counter.rows == {"empty": 0, "audit": 2}


def test_a_dump_that_was_cut_is_seen() -> None:
    """mariadb-dump ends with 0 at times, when the server has gone."""
    counter = mariadb.Counter()
    counter.feed(b"INSERT INTO `c` VALUES ('x');\n")
    assert not counter.complete


def test_other_rows_than_were_backed_up_are_named() -> None:
    """Before anything is switched."""
    commands.require_same({"a": 1}, {"a": 1})
    with pytest.raises(BackupError, match="a: 2 instead of 1; b: missing instead of 3; c: 0 instead of none"):
        commands.require_same({"a": 1, "b": 3}, {"a": 2, "c": 0})


def test_passwords_of_backups_are_in_no_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that logs its slow statements, or all of them, would keep them."""
    told: list[str] = []
    for kind in (postgresql.PostgreSQL, mariadb.MariaDB):
        monkeypatch.setattr(kind, "administer", lambda _self, sql: told.append(sql))
    with postgresql.PostgreSQL("a_b_c", 5432, "/")._login() as environment:
        assert environment["PGPASSWORD"] not in "".join(told)
    with mariadb.MariaDB("a_b_c")._writer() as client:
        assert client.environment["MYSQL_PWD"] not in "".join(told)
    assert 'GRANT "a_b_c", "a_b_c__a", "a_b_c__b" TO "a_b_c__c"' in told[0]


def test_what_a_restore_replaced_is_not_the_applications(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could drop what belongs to its role."""
    told: list[str] = []
    monkeypatch.setattr(postgresql.PostgreSQL, "administer", lambda _self, sql: told.extend([sql]))
    monkeypatch.setattr(postgresql.PostgreSQL, "exists", lambda _self, _name: True)
    assert postgresql.PostgreSQL("a_b_c", 5432, "/").switch() == "a_b_c__o"
    transaction = told[-1].partition("BEGIN;")[2].partition("COMMIT;")[0]
    assert 'ALTER DATABASE "a_b_c__o" OWNER TO postgres' in transaction
