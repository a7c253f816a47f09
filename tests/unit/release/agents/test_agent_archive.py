"""The promises of release.agents.agent_archive."""

import json
import subprocess
import sys
from importlib import util
from pathlib import Path

from release.agents import agent_archive

TOOLBOX = ("circus", "packaging", "psutil", "tornado", "uv", "zmq")

IMPORT_ALL = """
import sys, zipfile, importlib
sys.path[:0] = sys.argv[1:]
names = [name for name in zipfile.ZipFile(sys.argv[1]).namelist() if name != "__main__.py"]
for name in names:
    importlib.import_module(name.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
print(len(names))
"""


def test_the_same_sources_give_the_same_bytes() -> None:
    """A host that has this agent must not be sent another one from the next machine."""
    first = agent_archive.archive()
    agent_archive.archive.cache_clear()
    assert agent_archive.archive() == first


def test_a_toolbox_is_enough_to_import_all_of_it(tmp_path: Path) -> None:
    """A host has circus, uv and packaging; an import of anything else would be found out in production."""
    (tmp_path / "agent.pyz").write_bytes(agent_archive.archive().data)
    (tmp_path / "toolbox").mkdir()
    for name in TOOLBOX:
        found = util.find_spec(name)
        assert found
        assert found.submodule_search_locations
        (tmp_path / "toolbox" / name).symlink_to(found.submodule_search_locations[0])
    places = [str(tmp_path / name) for name in ("agent.pyz", "toolbox")]
    command = [sys.executable, "-I", "-S", "-c", IMPORT_ALL, *places]
    assert int(subprocess.check_output(command)) > 20


def test_the_command_runs_the_agent(tmp_path: Path) -> None:
    """What is started is what is in this checkout, and it ends when there is nothing to do."""
    command = agent_archive.command(sys.executable, str(tmp_path / "agent"))
    done = subprocess.run(command, input=agent_archive.archive().data, stdout=subprocess.PIPE, check=True)
    assert json.loads(done.stdout) == {"event": "agent", "present": False}
