"""The tasks table, or the one that init.sql has made already.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.Uuid(), primary_key=True, server_default=sa.text("gen_random_uuid()")),
        sa.Column("title", sa.String(100), nullable=False),
        sa.Column("description", sa.String(500)),
        sa.Column("status", sa.String(20), nullable=False, server_default="pending"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        # The name that PostgreSQL gives to the check in init.sql, so that both ways end alike.
        sa.CheckConstraint("status IN ('pending', 'in_progress', 'completed')", name="tasks_status_check"),
        if_not_exists=True,
    )
    op.create_index("idx_tasks_status", "tasks", ["status"], if_not_exists=True)
    op.create_index("idx_tasks_created_at", "tasks", [sa.text("created_at DESC")], if_not_exists=True)


def downgrade() -> None:
    op.drop_table("tasks")
