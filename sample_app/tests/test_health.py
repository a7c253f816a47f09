"""What supervisors ask."""

import pytest
from flask.testing import FlaskClient
from sample_app.extensions import db
from sqlalchemy import text


@pytest.mark.usefixtures("app")
def test_the_application_is_ready_when_its_database_is_migrated(client: FlaskClient) -> None:
    """Older code on a newer database is ready, too: a deploy migrates before it switches."""
    assert client.get("/readyz").status_code == 200
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert client.get("/readyz").status_code == 200
    with db.engine.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").json == {"status": "ok"}
