-- Fails, so that psql -v ON_ERROR_STOP=1 exits with 3, unless init.sql has done its work.
DO $$
DECLARE
    found INTEGER;
BEGIN
    IF to_regclass('tasks') IS NULL THEN
        RAISE EXCEPTION 'the table tasks does not exist';
    END IF;

    SELECT COUNT(*) INTO found FROM pg_indexes
    WHERE tablename = 'tasks' AND indexname IN ('idx_tasks_status', 'idx_tasks_created_at');
    IF found <> 2 THEN
        RAISE EXCEPTION 'the table tasks has % of its 2 indexes', found;
    END IF;

    SELECT COUNT(*) INTO found FROM tasks
    WHERE id::text LIKE '00000000-0000-4000-8000-00000000000_';
    IF found <> 4 THEN
        RAISE EXCEPTION 'the table tasks holds % of its 4 sample rows', found;
    END IF;
END
$$;
