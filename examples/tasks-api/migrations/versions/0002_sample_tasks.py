"""The four sample rows, with the same ids as in init.sql.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import insert

revision = "0002"
down_revision = "0001"

TASKS = sa.table(
    "tasks",
    sa.column("id", sa.Uuid()),
    sa.column("title", sa.String()),
    sa.column("description", sa.String()),
    sa.column("status", sa.String()),
)
ID = "00000000-0000-4000-8000-00000000000{}"
ROWS = [
    (ID.format(1), "X-Ray検証タスク1", "AWS X-Rayの分散トレーシング検証", "in_progress"),
    (ID.format(2), "X-Ray検証タスク2", "DB遅延シミュレーション検証", "pending"),
    (ID.format(3), "X-Ray検証タスク3", "ロジック遅延シミュレーション検証", "pending"),
    (ID.format(4), "X-Ray検証タスク4", "外部API遅延シミュレーション検証", "completed"),
]


def upgrade() -> None:
    rows = [dict(zip(("id", "title", "description", "status"), row)) for row in ROWS]
    op.execute(insert(TASKS).values(rows).on_conflict_do_nothing(index_elements=["id"]))


def downgrade() -> None:
    op.execute(TASKS.delete().where(TASKS.c.id.in_([row[0] for row in ROWS])))
