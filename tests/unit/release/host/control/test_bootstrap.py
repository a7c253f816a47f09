"""release.host.control.bootstrap, which runs on a host before anything else of ours is there."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from release.host.control import bootstrap


def archive(says: str = "here") -> bytes:
    """An agent that says something and the rest of its stdin."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("__main__.py", "import sys, part; print(part.SAYS, sys.argv[1:], sys.stdin.read())")
        file.writestr("part.py", f"SAYS = {says!r}")
    return buffer.getvalue()


def name_of(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return bootstrap.digest({name: file.read(name) for name in file.namelist()})


def run(folder: Path, data: bytes, stdin: bytes) -> tuple[dict[str, Any], str]:
    """The first line of what the bootstrap of agent `data` says, decoded, and the rest."""
    arguments = [str(folder), name_of(data), str(len(data))]
    done = subprocess.run(
        [sys.executable, "-I", "-c", Path(bootstrap.__file__).read_text(), *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        check=True,
    )
    first, _, rest = done.stdout.decode().partition("\n")
    return json.loads(first), rest.strip()


def kept(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"current.pyz"}


def test_an_agent_that_is_missing_is_received_and_gets_what_follows_it(tmp_path: Path) -> None:
    """Not one byte of the request may be taken for the archive, or be read ahead."""
    folder, data = tmp_path / "shop" / "agent", archive()
    assert run(folder, data, data + b"request\n") == ({"event": "agent", "present": False}, "here [] request")
    assert kept(folder) == {name_of(data)}


def test_an_agent_that_is_there_is_not_sent_again(tmp_path: Path) -> None:
    """A deploy a day with the same Packhorse needs no transfer."""
    data = archive()
    run(tmp_path, data, data)
    assert run(tmp_path, data, b"request") == ({"event": "agent", "present": True}, "here [] request")


@pytest.mark.parametrize("sent", [archive("evil"), archive()[:-1], b""])
def test_another_archive_is_neither_run_nor_kept(tmp_path: Path, sent: bytes) -> None:
    """Its name is its hash; half of one came when the other end died."""
    expected = archive("good")
    assert run(tmp_path / "agent", expected, sent) == ({"event": "agent", "present": False}, "")
    assert not (tmp_path / "agent").exists()


CHANGES = {
    "a changed module": "echo 'SAYS = 1; print(\"evil\")' > part.py",
    "a module that hides another": "echo 'print(\"evil\")' > json.py",
    "compiled code without a source": "touch part.pyc",
    "a missing module": "rm part.py",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_agent_that_somebody_has_changed_is_replaced(tmp_path: Path, change: str) -> None:
    """Its folder had the right name, and it ran."""
    data = archive()
    run(tmp_path, data, data)
    subprocess.run(["/bin/sh", "-c", change], cwd=tmp_path / name_of(data), check=True)
    assert run(tmp_path, data, data + b"request") == ({"event": "agent", "present": False}, "here [] request")
    assert run(tmp_path, data, b"again") == ({"event": "agent", "present": True}, "here [] again")


def test_the_host_itself_can_start_the_agent_used_last(tmp_path: Path) -> None:
    """At boot nobody is connected."""
    run(tmp_path, archive("old"), archive("old"))
    run(tmp_path, archive("new"), archive("new"))
    command = [sys.executable, str(tmp_path / "current.pyz"), "boot", "shop"]
    assert "new ['boot', 'shop']" in subprocess.check_output(command, input=b"").decode()


def test_agents_that_nobody_uses_any_more_go(tmp_path: Path) -> None:
    """One for every version of Packhorse would fill the disk slowly; the one that was used last stays."""
    agents = [archive(str(number)) for number in range(bootstrap.KEPT + 3)]
    names = [name_of(data) for data in agents]
    for age, data in enumerate(agents[:-1]):
        run(tmp_path, data, data)
        os.utime(tmp_path / name_of(data), (1000 + age, 1000 + age))
    run(tmp_path, agents[-1], agents[-1])
    assert kept(tmp_path) == set(names[-bootstrap.KEPT - 1 :])


def test_somebody_else_may_have_been_faster(tmp_path: Path) -> None:
    """Two deployers meet a host that knows neither: one of them makes the folder, both use it."""
    data = archive()
    agent = tmp_path / name_of(data)
    run(tmp_path, data, data)
    assert bootstrap._unpack(data, agent)
    assert kept(tmp_path) == {agent.name}


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The wrong user, a host that nobody prepared, a full disk: not a traceback."""
    tmp_path.joinpath("file").touch()
    data = archive()
    said = run(tmp_path / "file" / "agent", data, data)[1]
    error = json.loads(said)
    assert (error["event"], error["exit_code"]) == ("error", 1)
    assert f"{tmp_path}/file/agent" in error["message"]
