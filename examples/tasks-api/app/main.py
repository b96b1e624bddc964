"""The API: tasks, their health, and three endpoints that are slow for different reasons."""

import hashlib
import time
import urllib.request
from datetime import datetime
from uuid import UUID

from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.database import Task, engine
from app.settings import ENVIRONMENT, EXTERNAL_URL, VERSION, check_sentry_dsn

check_sentry_dsn()
app = FastAPI(title="tasks-api", version=VERSION)


class TaskOut(BaseModel):
    """A task as clients see it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    description: str | None
    status: str
    created_at: datetime
    updated_at: datetime


def database_answers(query: str) -> bool:
    """Whether the database answers the query."""
    try:
        with engine.connect() as connection:
            connection.execute(text(query))
    except SQLAlchemyError:
        return False
    return True


def list_tasks(session: Session) -> list[TaskOut]:
    """All tasks, the newest first."""
    tasks = session.scalars(select(Task).order_by(Task.created_at.desc(), Task.id))
    return [TaskOut.model_validate(task) for task in tasks]


@app.get("/health")
def health(response: Response) -> dict[str, str]:
    """The app and its database in one answer."""
    connected = database_answers("SELECT 1")
    if not connected:
        response.status_code = 503
    return {
        "status": "healthy" if connected else "unhealthy",
        "database": "connected" if connected else "disconnected",
        "environment": ENVIRONMENT,
        "version": VERSION,
    }


@app.get("/health/db")
def health_db() -> dict[str, str]:
    """Whether the database answers."""
    if not database_answers("SELECT 1"):
        raise HTTPException(503, "the database does not answer")
    return {"database": "connected"}


@app.get("/readyz")
def readyz() -> dict[str, str]:
    """Whether requests can be served: the tasks table is there to be read."""
    if not database_answers("SELECT 1 FROM tasks LIMIT 1"):
        raise HTTPException(503, "the tasks table cannot be read")
    return {"status": "ready"}


@app.get("/tasks")
def tasks() -> list[TaskOut]:
    """All tasks."""
    with Session(engine) as session:
        return list_tasks(session)


@app.get("/tasks/slow-db")
def slow_db() -> list[TaskOut]:
    """All tasks, after the database has slept for 3 s."""
    with Session(engine) as session:
        session.execute(text("SELECT pg_sleep(3)"))
        return list_tasks(session)


@app.get("/tasks/slow-logic")
def slow_logic() -> list[TaskOut]:
    """All tasks, after 5 s of computing."""
    digest = b""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        digest = hashlib.sha256(digest * 4096).digest()
    with Session(engine) as session:
        return list_tasks(session)


@app.get("/tasks/slow-external")
def slow_external() -> list[TaskOut]:
    """All tasks, after a call to a slow peer."""
    if not EXTERNAL_URL:
        raise HTTPException(503, "EXTERNAL_URL is not set: there is no external peer to call")
    try:
        with urllib.request.urlopen(EXTERNAL_URL, timeout=10) as answer:
            answer.read(65536)
    except OSError as error:
        raise HTTPException(502, f"the external peer failed: {error}") from error
    with Session(engine) as session:
        return list_tasks(session)
