"""The tasks table and the connections to it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import String, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.settings import database_url

# connect_timeout keeps the health endpoints quick while the database is away.
engine = create_engine(database_url(), pool_pre_ping=True, connect_args={"connect_timeout": 3})


class Base(DeclarativeBase):
    """What all tables share."""


class Task(Base):
    """One task; the migrations are the authority on its columns."""

    __tablename__ = "tasks"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(100))
    description: Mapped[str | None] = mapped_column(String(500))
    status: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
