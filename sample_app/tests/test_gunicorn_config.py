"""What gunicorn is told."""

import subprocess
import sys
from pathlib import Path

import pytest
from support import environment


@pytest.mark.parametrize(("given", "workers"), [({}, 2), ({"WEB_CONCURRENCY": "5"}, 5)])
def test_the_number_of_workers_is_two_or_what_the_environment_says(
    tmp_path: Path, given: dict[str, str], workers: int
) -> None:
    """WEB_CONCURRENCY is gunicorn's own variable; a number in its configuration would win over it."""
    program = "from sample_app import gunicorn_config; print(gunicorn_config.workers)"
    env = environment(tmp_path, **given)
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == workers
