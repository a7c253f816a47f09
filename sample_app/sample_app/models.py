"""Tables: users with roles and API tokens, links with tags."""

import hashlib
import re
import secrets
from datetime import UTC, datetime
from typing import Self

from flask_login import UserMixin
from sqlalchemy import (
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    String,
    Table,
    Text,
    TypeDecorator,
    select,
)
from sqlalchemy.dialects.mysql import VARCHAR
from sqlalchemy.orm import Mapped, mapped_column, relationship
from werkzeug.security import check_password_hash, generate_password_hash

from sample_app.extensions import Base, db

MEMBER, ADMIN = "member", "admin"
ROLES = (MEMBER, ADMIN)
# By default MariaDB takes "bóss@example.com" for "boss@example.com".
EMAIL = String(254).with_variant(VARCHAR(254, collation="utf8mb4_bin"), "mysql", "mariadb")


class Moment(TypeDecorator[datetime]):
    """A time in UTC: SQLite and MariaDB keep none of the zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """What is stored."""
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """What the application sees."""
        return value.replace(tzinfo=UTC) if value else None


def now() -> datetime:
    """This second, which every database can hold."""
    return datetime.now(UTC).replace(microsecond=0)


class Role(Base):
    """What a user may do; `flask deploy` inserts all of them."""

    __tablename__ = "roles"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), unique=True)


class User(UserMixin, Base):  # type: ignore[misc]  # flask-login has no types
    """Somebody who signs in. `confirmed_at`: when the link in the mail was followed.

    `confirmation_claimed_at`: when a worker began to send that mail, while it has not finished.
    """

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(EMAIL, unique=True)
    name: Mapped[str] = mapped_column(String(60))
    password_hash: Mapped[str] = mapped_column(String(200))
    role_id: Mapped[int] = mapped_column(ForeignKey("roles.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    confirmed_at: Mapped[datetime | None] = mapped_column(Moment)
    confirmation_sent_at: Mapped[datetime | None] = mapped_column(Moment)
    confirmation_claimed_at: Mapped[datetime | None] = mapped_column(Moment)
    role: Mapped[Role] = relationship(lazy="joined", innerjoin=True)

    @property
    def is_admin(self) -> bool:
        """May change everybody's links."""
        return self.role.name == ADMIN

    def get_id(self) -> str:
        """What a session keeps: a new password ends all sessions that began with the old one."""
        return f"{self.id}.{digest(self.password_hash)[:16]}"

    def set_password(self, password: str) -> None:
        """Keep a hash of `password` (scrypt)."""
        self.password_hash = generate_password_hash(password)

    def has_password(self, password: str) -> bool:
        """Compare with the hash, which takes as long for a wrong password as for the right one."""
        return check_password_hash(self.password_hash, password)

    @classmethod
    def find(cls, email: str) -> Self | None:
        """By address, in whatever case it was typed."""
        return db.session.scalar(select(cls).where(cls.email == email.strip().lower()))


class Token(Base):
    """A secret with which a program acts for a user; only its digest is kept."""

    __tablename__ = "tokens"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(60))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)

    @classmethod
    def make(cls, user: User, name: str) -> tuple[Self, str]:
        """A new token, and the secret that is shown once."""
        secret = f"links_{secrets.token_urlsafe(32)}"
        return cls(user=user, name=name, digest=digest(secret)), secret


def digest(secret: str) -> str:
    """How a token is kept: with 256 random bits it needs no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


link_tags = Table(
    "link_tags",
    Base.metadata,
    Column("link_id", ForeignKey("links.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class Tag(Base):
    """A word that links have in common: lower case, digits and dashes."""

    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)

    @staticmethod
    def names(text: str) -> list[str]:
        """The tags in what somebody typed, such as "Python, web dev"; no name twice."""
        words = (re.sub(r"[\W_]+", "-", word.strip().lower()).strip("-")[:40] for word in text.split(","))
        return list(dict.fromkeys(filter(None, words)))


class Link(Base):
    """A link that a user posted. `archived_at`: when it went out of the list."""

    __tablename__ = "links"
    __table_args__ = (Index("ix_links_shown", "archived_at", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(String(2000))
    title: Mapped[str] = mapped_column(String(200))
    note: Mapped[str] = mapped_column(Text, default="")
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    updated_at: Mapped[datetime] = mapped_column(Moment, default=now, onupdate=now)
    archived_at: Mapped[datetime | None] = mapped_column(Moment)
    version: Mapped[int] = mapped_column(server_default="1")
    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)
    tags: Mapped[list[Tag]] = relationship(secondary=link_tags, order_by=Tag.name, lazy="selectin")
    # Of two changes at once, the later one raises StaleDataError instead of undoing the earlier one.
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  # SQLAlchemy's interface
