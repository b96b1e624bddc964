-- The handbook's database initialisation, made safe to run again: its sample rows had random ids,
-- so ON CONFLICT never met a conflict and every run added four more. Here the ids are fixed, and
-- the same as in migrations/versions/0002_sample_tasks.py.
BEGIN;

CREATE TABLE IF NOT EXISTS tasks (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    title VARCHAR(100) NOT NULL,
    description VARCHAR(500),
    status VARCHAR(20) NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'in_progress', 'completed')),
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW()
);

CREATE INDEX IF NOT EXISTS idx_tasks_status ON tasks (status);
CREATE INDEX IF NOT EXISTS idx_tasks_created_at ON tasks (created_at DESC);

INSERT INTO tasks (id, title, description, status) VALUES
    ('00000000-0000-4000-8000-000000000001', 'X-Ray検証タスク1', 'AWS X-Rayの分散トレーシング検証', 'in_progress'),
    ('00000000-0000-4000-8000-000000000002', 'X-Ray検証タスク2', 'DB遅延シミュレーション検証', 'pending'),
    ('00000000-0000-4000-8000-000000000003', 'X-Ray検証タスク3', 'ロジック遅延シミュレーション検証', 'pending'),
    ('00000000-0000-4000-8000-000000000004', 'X-Ray検証タスク4', '外部API遅延シミュレーション検証', 'completed')
ON CONFLICT (id) DO NOTHING;

COMMIT;

SELECT COUNT(*) AS task_count FROM tasks;
