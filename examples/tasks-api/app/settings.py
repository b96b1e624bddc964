"""What the environment says."""

import os
from urllib.parse import urlsplit

ENVIRONMENT = os.environ.get("ENVIRONMENT", "production")
VERSION = os.environ.get("VERSION", "1.0.0")
# The peer that /tasks/slow-external calls; it should take its time to answer.
EXTERNAL_URL = os.environ.get("EXTERNAL_URL")


class BadDsn(ValueError):
    """SENTRY_DSN is present but is no DSN. Error reporting is switched off by leaving it out."""


def database_url() -> str:
    """DATABASE_URL with the driver that this app ships (psycopg) where none is named."""
    url = os.environ.get("DATABASE_URL", "")
    if not url:
        raise RuntimeError("DATABASE_URL is not set")
    scheme, separator, rest = url.partition("://")
    if scheme in ("postgresql", "postgres"):
        scheme = "postgresql+psycopg"
    return scheme + separator + rest


def check_sentry_dsn() -> None:
    """Refuses a SENTRY_DSN that is present and wrong, an empty one included."""
    dsn = os.environ.get("SENTRY_DSN")
    if dsn is None:
        return
    parts = urlsplit(dsn)
    if parts.scheme not in ("http", "https"):
        raise BadDsn(f"Unsupported scheme {parts.scheme!r}")
    if not parts.hostname:
        raise BadDsn("Missing hostname")
    if not parts.username:
        raise BadDsn("Missing public key")
    if not parts.path.rpartition("/")[2].isdigit():
        raise BadDsn("Invalid project in DSN")
