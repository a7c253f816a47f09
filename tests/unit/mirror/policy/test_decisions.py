"""Reading the logs of decisions."""

import json
from pathlib import Path

from mirror.policy import decisions


def test_the_lines_of_all_indexes_come_in_the_order_of_time(tmp_path: Path) -> None:
    """Also of an index that has an earlier part only: the server was stopped between the two."""
    for name, *times in (("a%2Fb.jsonl", 2, 4), ("a%2Fb.jsonl.1", 1), ("c%2F1.5.jsonl.1", 3)):
        (tmp_path / name).write_text("".join(json.dumps({"at": str(at)}) + "\n" for at in times) + '{"at')
    assert [line["at"] for line in decisions.read(tmp_path)] == ["1", "2", "3", "4"]
    assert decisions.read(tmp_path / "missing") == []
