"""What `release deploy` and `release rollback` print."""

from types import SimpleNamespace
from typing import Any

import pytest

from packhorse.errors import PackhorseError
from release.agents.controller import Outcome
from release.agents.schedule import HostState, Stage
from release.cli.releases import deploy


@pytest.mark.parametrize("fields", [{}, {"release": 1, "url": 5}, {"release": 1, "url": None}])
def test_a_result_that_cannot_be_right_is_an_error_of_the_target(fields: dict[str, Any]) -> None:
    """A compromised host ends no command with a traceback."""
    last = {"event": "result", "unchanged": False, "reverted": False, **fields}
    outcome = Outcome((HostState("web1", stage=Stage.ENDED, last=last),), None)
    target = SimpleNamespace(hosts=None, batch_size=1)
    command: Any = SimpleNamespace(
        name="production", target=target, left_out=[], seconds=1.0, finish=lambda _: None
    )
    with pytest.raises(PackhorseError, match="A host of production answered what no agent of ours does"):
        deploy.report(command, outcome, plan=False, as_json=False)
