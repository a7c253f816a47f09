"""Settings of gunicorn: `gunicorn --config python:sample_app.gunicorn_config "sample_app:create_app()"`."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from sample_app.config import ConfigurationError, load  # not `config`: a setting of gunicorn has that name
from sample_app.logs import GunicornLogger

try:
    settings = load()
except ConfigurationError as error:  # said once, not by each worker with a traceback
    sys.exit(str(error))

workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
logger_class = GunicornLogger
control_socket_disable = True


def when_ready(server: Any) -> None:  # noqa: ANN401  # gunicorn has no types
    """Called by gunicorn when its sockets are open: a Unix socket has a proxy in front."""
    if not settings.proxies and any(isinstance(listener.getsockname(), str) for listener in server.LISTENERS):
        server.log.warning(
            "PROXIES is 0: all visitors count as one, and may lock each other out. Set it to 1."
        )


def changed(path: Path) -> float:
    """When `path` was changed; long ago if another process removes it right now."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


# The numbers of /metrics: all processes of a release count in one folder, those that ended too. It is in
# `data_dir`, where no other user can write. The last three releases may still run. prometheus_client
# looks at the variable when it is imported.
counters = settings.data_dir / "metrics" / (settings.packhorse_release or "0")
counters.mkdir(parents=True, exist_ok=True)
counters.touch()
for old in sorted(counters.parent.iterdir(), key=changed, reverse=True)[3:]:
    shutil.rmtree(old, ignore_errors=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(counters.absolute())
