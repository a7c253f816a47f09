"""A twelve-factor Flask application: configuration from the environment, logs to stdout."""

import logging
import os
import sys

from flask import Flask

from sample_app import pages


def create_app() -> Flask:
    """The application, ready to serve."""
    logging.basicConfig(
        stream=sys.stdout,
        level=os.environ.get("LOG_LEVEL", "INFO"),
        format="%(levelname)s %(name)s: %(message)s",
    )
    app = Flask(__name__)
    app.config["GREETING"] = os.environ.get("GREETING", "Hello")
    app.config["RELEASE"] = os.environ.get("PACKHORSE_RELEASE")  # set by Packhorse for every process
    app.register_blueprint(pages.blueprint)
    app.logger.info("ready: version %s, release %s", pages.VERSION, app.config["RELEASE"])
    return app
