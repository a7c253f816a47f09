"""`flask seed`: somebody to sign in with and some links, to look at the application in development."""

from datetime import timedelta

import click
from flask import current_app
from flask.cli import with_appcontext

from sample_app import board
from sample_app.auth import accounts
from sample_app.extensions import db
from sample_app.models import ADMIN, MEMBER, User, now

PEOPLE = {"ann@example.com": ("Ann Porter", ADMIN), "ben@example.com": ("Ben Walsh", MEMBER)}
PASSWORD = "load the horse"  # noqa: S105  # everybody may know it: development only

# Oldest first: address, title, tags, note
LINKS = (
    ("https://peps.python.org/pep-0008/", "PEP 8: how we format code", "python, style", ""),
    ("https://semver.org/", "Semantic versioning", "releases", "What the three numbers promise."),
    ("https://keepachangelog.com/", "Keep a changelog", "releases, writing", "For people, not for machines."),
    (
        "https://www.sqlite.org/whentouse.html",
        "When to use SQLite",
        "databases",
        "More often than one thinks.",
    ),
    (
        "https://use-the-index-luke.com/",
        "Use the index, Luke",
        "databases, performance",
        "SQL indexing explained.",
    ),
    ("https://wiki.postgresql.org/wiki/Don%27t_Do_This", "PostgreSQL: don't do this", "databases", ""),
    (
        "https://sre.google/books/",
        "Site reliability engineering",
        "operations",
        "The three books, free to read.",
    ),
    (
        "https://www.brendangregg.com/usemethod.html",
        "The USE method",
        "operations, performance",
        "Utilisation, saturation, errors: where to look first when something is slow.",
    ),
    ("https://nginx.org/en/docs/", "nginx documentation", "operations, web", ""),
    (
        "https://docs.gunicorn.org/en/stable/design.html",
        "How gunicorn works",
        "python, web",
        "Workers and how many.",
    ),
    (
        "https://flask.palletsprojects.com/",
        "Flask",
        "python, web, flask",
        "Application factory and blueprints.",
    ),
    (
        "https://docs.sqlalchemy.org/en/latest/tutorial/",
        "SQLAlchemy unified tutorial",
        "python, databases",
        "",
    ),
    ("https://docs.pytest.org/en/stable/how-to/fixtures.html", "How to use fixtures", "python, testing", ""),
    (
        "https://martinfowler.com/bliki/ParallelChange.html",
        "Expand and contract",
        "databases, releases",
        "Change a schema without an outage: add, move over, and only then remove.",
    ),
    (
        "https://developer.mozilla.org/docs/Web/HTTP/Caching",
        "HTTP caching",
        "web, performance",
        "Hashed names and immutable: why our style sheet is fetched once.",
    ),
    ("https://developer.mozilla.org/docs/Web/HTTP/CSP", "Content security policy", "web, security", ""),
    ("https://cheatsheetseries.owasp.org/", "OWASP cheat sheets", "security", "Short, and right."),
    (
        "https://www.w3.org/WAI/ARIA/apg/",
        "ARIA authoring practices",
        "web, accessibility",
        "Look here before you invent.",
    ),
    ("https://every-layout.dev/", "Every layout", "web, css", "Layouts that need no breakpoints."),
    (
        "https://www.rfc-editor.org/rfc/rfc9457",
        "RFC 9457: problem details",
        "web, api",
        "How our API says no.",
    ),
    (
        "https://schemathesis.readthedocs.io/",
        "Schemathesis",
        "api, testing",
        "Finds what the schema promises and the API breaks.",
    ),
    ("https://prometheus.io/docs/practices/naming/", "Naming metrics", "operations", ""),
    (
        "https://12factor.net/",
        "The twelve-factor app",
        "operations, web",
        "How this board is built: configuration in the environment, logs on stdout, state in a database.",
    ),
)


@click.command()
@with_appcontext
def seed() -> None:
    """Add users and links to look at, once. Not in production."""
    if current_app.config["SETTINGS"].environment == "production":
        msg = "ENVIRONMENT is production: there everybody would know the password of its users."
        raise click.ClickException(msg)
    if User.find(next(iter(PEOPLE))) is None:
        people = [add_user(email, name, role) for email, (name, role) in PEOPLE.items()]
        for number, (url, title, tags, note) in enumerate(LINKS):
            link = board.post(people[number % 2], url=url, title=title, tags=[tags], note=note)
            link.created_at = now() - timedelta(hours=7 * (len(LINKS) - number - 1))
        board.archive(board.post(people[0], url="https://example.com/", title="An example", tags=["web"]))
        db.session.commit()
    click.echo(f"Sign in as {' or '.join(PEOPLE)} with the password: {PASSWORD}")


def add_user(email: str, name: str, role: str) -> User:
    """A user whose address counts as confirmed."""
    user = User(
        email=email, name=name, role=accounts.role(role), confirmed_at=now(), confirmation_sent_at=now()
    )
    user.set_password(PASSWORD)
    db.session.add(user)
    db.session.commit()
    return user
