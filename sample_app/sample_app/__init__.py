"""A team's link board: configuration from the environment, logs to stdout, state in the database."""

from datetime import timedelta
from importlib.metadata import version
from urllib.parse import urlsplit

from flask import Flask
from flask_login import current_user

from sample_app import config

VERSION = version("sample-app")


def create_app(settings: config.Settings | None = None) -> Flask:
    """Make the application, ready to serve. Raises ConfigurationError."""
    # Imported here: reading the version or the settings needs none of it.
    from sample_app import (
        alerts,
        api,
        assets,
        auth,
        board,
        commands,
        errors,
        health,
        jobs,
        logs,
        main,
        metrics,
        security,
    )
    from sample_app.extensions import csrf, db, limiter, login, migrate

    settings = settings or config.load()
    app = assets.make(__name__, settings)
    app.config.from_mapping(_flask_settings(settings))
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    logs.register(app)
    alerts.register(settings)
    metrics.register(app)
    db.init_app(app)
    migrate.init_app(app, db, directory=f"{app.root_path}/migrations")
    login.init_app(app, add_context_processor=False)  # it would load the user for pages of a 500, too
    csrf.init_app(app)
    limiter.init_app(app)
    for part in (main, auth, api, health):
        app.register_blueprint(part.blueprint)
    security.register(app, settings)
    errors.register(app)
    app.jinja_env.globals.update(version=VERSION, may_post=board.may_post, may_change=board.may_change)
    app.context_processor(lambda: {"user": current_user})
    commands.register(app)
    jobs.register(app)
    return app


def _flask_settings(settings: config.Settings) -> dict[str, object]:
    """Settings of Flask and its extensions, made of those from the environment."""
    public = urlsplit(settings.public_url)
    return {
        "SETTINGS": settings,
        "SECRET_KEY": settings.key,
        "SQLALCHEMY_DATABASE_URI": settings.database,
        "SQLALCHEMY_ENGINE_OPTIONS": {
            "pool_pre_ping": True,
            "connect_args": settings.database_options,
            "hide_parameters": settings.environment != "development",
        },
        "SERVER_NAME": public.netloc,
        "APPLICATION_ROOT": public.path or "/",
        "PREFERRED_URL_SCHEME": public.scheme,
        "MAX_CONTENT_LENGTH": 2**20,
        "TESTING": settings.environment == "testing",
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.https,
        "PERMANENT_SESSION_LIFETIME": timedelta(days=14),
        "WTF_CSRF_TIME_LIMIT": None,  # as long as the session
        "RATELIMIT_STORAGE_URI": settings.redis_url.get_secret_value() if settings.redis_url else "memory://",
    }
