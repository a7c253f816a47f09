"""mirror.serving.running: commands that need a mirror say which step is missing."""

from pathlib import Path

import pytest

from mirror.serving import running
from mirror.state import Folder
from packhorse.errors import PackhorseError


@pytest.mark.parametrize(("exists", "hint"), [(False, "mirror init"), (True, "mirror serve --background")])
def test_the_step_that_is_missing_is_named(tmp_path: Path, hint: str, *, exists: bool) -> None:
    """`mirror serve` before `mirror init` would only be refused again."""
    if exists:
        Folder(tmp_path).server.mkdir(parents=True)
    with pytest.raises(PackhorseError) as caught:
        running.find(Folder(tmp_path))
    assert hint in (caught.value.hint or "")
