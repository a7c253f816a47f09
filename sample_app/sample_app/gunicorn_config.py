"""Settings of gunicorn: `gunicorn --config python:sample_app.gunicorn_config "sample_app:create_app()"`."""

import sys

from sample_app.config import ConfigurationError, load  # not `config`: a setting of gunicorn has that name
from sample_app.logs import GunicornLogger

try:
    load()
except ConfigurationError as error:  # said once, not by each worker with a traceback
    sys.exit(str(error))

workers = 2
logger_class = GunicornLogger
control_socket_disable = True
