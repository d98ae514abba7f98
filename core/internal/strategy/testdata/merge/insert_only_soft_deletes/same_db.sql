-- 1. create staging: the declared types, so that values are converted and refused as the target would
CREATE TEMPORARY TABLE _ematix_stage (
    customer_id BIGINT NOT NULL,
    email VARCHAR(64) NOT NULL,
    balance NUMERIC(12,2),
    profile JSON
) ON COMMIT DROP;

-- 2. stage: the query runs once; everything that follows reads its result
INSERT INTO pg_temp._ematix_stage (customer_id, email, balance, profile)
SELECT q.customer_id, q.email, q.balance, q.profile
FROM (
SELECT * FROM (VALUES (1::bigint, 'a@x.org', 10.5, NULL::json), (2, 'b@x.org', NULL, '{}')) AS v (customer_id, email, balance, profile)
) AS q;

-- 3. analyze staging: the planner must know how many rows there are
ANALYZE pg_temp._ematix_stage;

-- 4. check keys: a key that occurs twice is refused before anything is written
SELECT count(s.customer_id) - count(DISTINCT s.customer_id) + greatest(count(*) - count(s.customer_id) - 1, 0)
FROM pg_temp._ematix_stage AS s;
-- only where that is not 0:
SELECT count(*) OVER () AS keys, d.*
FROM (
    SELECT count(*) AS n, left(s.customer_id::text, 80)
    FROM pg_temp._ematix_stage AS s
    GROUP BY s.customer_id
    HAVING count(*) > 1
) AS d
LIMIT 5;

-- 5. lock target: other writers wait until the commit, readers go on: between finding a row and changing it nobody may move it
LOCK TABLE warehouse.customers IN SHARE ROW EXCLUSIVE MODE;

-- 6. find changes: one join finds what is new, what differs and what is gone
CREATE TEMPORARY TABLE _ematix_changes ON COMMIT DROP AS
SELECT
    CASE WHEN t.ctid IS NULL THEN 'insert' WHEN s.ctid IS NULL THEN 'delete' ELSE 'update' END AS _ematix_action,
    t.ctid AS _ematix_ctid, s.ctid AS _ematix_row,
    coalesce(s.customer_id, t.customer_id) AS customer_id, s.email, s.balance, s.profile
FROM pg_temp._ematix_stage AS s
FULL JOIN warehouse.customers AS t ON t.customer_id = s.customer_id
WHERE t.ctid IS NULL
   OR s.ctid IS NULL AND NOT t.gone
   OR s.ctid IS NOT NULL AND (t.gone)
ORDER BY t.ctid;

-- 7. analyze changes: the planner must know how many they are; few it takes for few anyway
-- only when many rows are staged:
ANALYZE pg_temp._ematix_changes;

-- 8. count changes: what follows must change exactly as many rows
SELECT count(*) FILTER (WHERE c._ematix_action = 'update'), count(*) FILTER (WHERE c._ematix_action = 'insert'), count(*) FILTER (WHERE c._ematix_action = 'delete')
FROM pg_temp._ematix_changes AS c;

-- 9. guard deletes: a source that lost its rows must not empty the table
SELECT count(*)
FROM pg_temp._ematix_changes AS c
WHERE c._ematix_action = 'delete';
-- only where that is not 0:
SELECT d.gone, d.present
FROM (
    SELECT (SELECT count(*) FROM pg_temp._ematix_changes AS c WHERE c._ematix_action = 'delete') AS gone, (SELECT count(*) FROM warehouse.customers AS t WHERE NOT t.gone) AS present
) AS d
WHERE d.gone > 100 AND NOT EXISTS (SELECT FROM pg_temp._ematix_stage);

-- 10. by place: changes are sorted by place: go there, row by row; in partitions, or where triggers would run under these settings, as the planner likes
SELECT
    set_config('ematix_flow.enable_hashjoin', current_setting('enable_hashjoin'), true),
    set_config('enable_hashjoin', CASE WHEN places THEN 'off' ELSE current_setting('enable_hashjoin') END, true),
    set_config('ematix_flow.enable_mergejoin', current_setting('enable_mergejoin'), true),
    set_config('enable_mergejoin', CASE WHEN places THEN 'off' ELSE current_setting('enable_mergejoin') END, true),
    set_config('ematix_flow.jit', current_setting('jit'), true),
    set_config('jit', CASE WHEN places THEN 'off' ELSE current_setting('jit') END, true)
FROM (
    SELECT relkind = 'r' AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND (NOT tgisinternal OR tgfoid::regproc::text ~ 'cascade|set')) AS places
    FROM pg_class AS c
    WHERE oid = 'warehouse.customers'::regclass
) AS d;

-- 11. mark deleted: rows whose key the source lacks
UPDATE warehouse.customers AS t
SET gone = true, _loaded_at = $1::timestamptz, _batch_id = $2::uuid
FROM pg_temp._ematix_changes AS c
WHERE c._ematix_action = 'delete' AND t.ctid = c._ematix_ctid AND (t.customer_id = c.customer_id) IS TRUE;  -- $1: load_time  -- $2: run_id

-- 12. plan freely: the planner's own choice again
SELECT
    pg_catalog.set_config('enable_hashjoin', pg_catalog.current_setting('ematix_flow.enable_hashjoin'), true),
    pg_catalog.set_config('enable_mergejoin', pg_catalog.current_setting('ematix_flow.enable_mergejoin'), true),
    pg_catalog.set_config('jit', pg_catalog.current_setting('ematix_flow.jit'), true);

-- 13. by place: changes are sorted by place: go there, row by row; in partitions, or where triggers would run under these settings, as the planner likes
SELECT
    set_config('ematix_flow.enable_hashjoin', current_setting('enable_hashjoin'), true),
    set_config('enable_hashjoin', CASE WHEN places THEN 'off' ELSE current_setting('enable_hashjoin') END, true),
    set_config('ematix_flow.enable_mergejoin', current_setting('enable_mergejoin'), true),
    set_config('enable_mergejoin', CASE WHEN places THEN 'off' ELSE current_setting('enable_mergejoin') END, true),
    set_config('ematix_flow.jit', current_setting('jit'), true),
    set_config('jit', CASE WHEN places THEN 'off' ELSE current_setting('jit') END, true)
FROM (
    SELECT relkind = 'r' AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND (NOT tgisinternal OR tgfoid::regproc::text ~ 'cascade|set')) AS places
    FROM pg_class AS c
    WHERE oid = 'warehouse.customers'::regclass
) AS d;

-- 14. update: rows that differ, by their place and their key
UPDATE warehouse.customers AS t
SET gone = false, _loaded_at = $1::timestamptz, _batch_id = $2::uuid
FROM pg_temp._ematix_changes AS c
WHERE c._ematix_action = 'update' AND t.ctid = c._ematix_ctid AND (t.customer_id = c.customer_id) IS TRUE;  -- $1: load_time  -- $2: run_id

-- 15. plan freely: the planner's own choice again
SELECT
    pg_catalog.set_config('enable_hashjoin', pg_catalog.current_setting('ematix_flow.enable_hashjoin'), true),
    pg_catalog.set_config('enable_mergejoin', pg_catalog.current_setting('ematix_flow.enable_mergejoin'), true),
    pg_catalog.set_config('jit', pg_catalog.current_setting('ematix_flow.jit'), true);

-- 16. insert: rows whose key is new
INSERT INTO warehouse.customers (customer_id, email, balance, profile, _loaded_at, _batch_id, gone)
SELECT c.customer_id, c.email, c.balance, c.profile, $1::timestamptz, $2::uuid, false
FROM pg_temp._ematix_changes AS c
WHERE c._ematix_action = 'insert';  -- $1: load_time  -- $2: run_id
