"""docs/tutorial.md, done by a reader with three bare servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import documents, file_keyring, hosts
from tests.support.hosts.bare_servers import Company, company
from tests.support.servers import run_command

pytestmark = [*hosts.MARKS, pytest.mark.needs("nginx"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def bare() -> Iterator[Company]:
    with company("web1", "web2") as made:
        yield made


def _here(text: str, bare: Company) -> str:
    """What the page says, with the names of these servers, and the index that stands for the public one."""
    names = {
        "https://packages.example.com/simple/": bare.outside.index_url("company/dev"),
        "http://pypi.example.com": f"http://{bare.pypi.address}",
        "http://web1.example.com": f"http://{bare.apps[0].address}",
        **{f"{host.name}.example.com": host.name for host in bare.net.members.values()},
    }
    for name, here in names.items():
        text = text.replace(name, here)
    return text


def test_the_commands_of_the_tutorial_work(bare: Company, tmp_path: Path) -> None:
    """Each block in its order, in one folder; commands after "!" are to fail."""
    project, printed = tmp_path / "hello", ""
    project.mkdir()
    environment = bare.net.environment(bare.outside.home, **file_keyring.environment(tmp_path))
    upstream = f'[upstream]\nurl = "{bare.outside.index_url("root/pypi")}"\n'
    for language, filename, text in documents.blocks("tutorial.md"):
        here = _here(text, bare)
        if filename:
            (project / filename).write_text(here + (upstream if filename == "mirror.toml" else ""))
        elif language == "sh":
            done = run_command(
                "sh", "-eux", "-c", documents.script(here), env=environment, cwd=project, timeout=600
            )
            printed += done.stdout + done.stderr
    assert printed.count("\nHello from the company\n") == 3
    assert "release config set production COMPANY" in printed
    assert "NameError" in printed or "AttributeError" in printed  # release logs
