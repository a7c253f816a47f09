"""Flask's extensions, made once and bound to an application by the factory."""

from ipaddress import IPv6Address, ip_address, ip_network

from flask import request
from flask_limiter import Limiter
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

# Constraints need names, so that migrations can drop them.
NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """What all models have in common."""

    metadata = MetaData(naming_convention=NAMING)


def client_network() -> str:
    """Where a request comes from, for rate limits: of IPv6 the /64, which one subscriber has to himself."""
    try:
        address = ip_address((request.remote_addr or "").partition("%")[0])
    except ValueError:  # a Unix socket
        return "local"
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)


db = SQLAlchemy(model_class=Base)
migrate = Migrate()
login = LoginManager()
csrf = CSRFProtect()
# While Redis is away each process counts for itself.
limiter = Limiter(client_network, in_memory_fallback_enabled=True, headers_enabled=True)
