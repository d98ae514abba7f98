-- 1. create staging: the declared types, so that values are converted and refused as the target would
CREATE TEMPORARY TABLE _ematix_stage (
    customer_id BIGINT NOT NULL,
    email VARCHAR(64) NOT NULL,
    balance NUMERIC(12,2),
    profile JSON
) ON COMMIT DROP;

-- 2. stage: the query runs once, on its own server; its rows come over as they are
-- on the source:
COPY (
SELECT q.customer_id, q.email, q.balance, q.profile
FROM (
SELECT * FROM (VALUES (1::bigint, 'a@x.org', 10.5, NULL::json), (2, 'b@x.org', NULL, '{}')) AS v (customer_id, email, balance, profile)
) AS q
WHERE (:since IS NULL OR q.customer_id >= :since)
) TO STDOUT (FORMAT binary);
-- into:
COPY pg_temp._ematix_stage (customer_id, email, balance, profile) FROM STDIN (FORMAT binary);

-- 3. analyze staging: the planner must know how many rows there are
ANALYZE pg_temp._ematix_stage;

-- 4. watermark: how far this load has read; the next one starts there
SELECT CASE WHEN count(*) > 0 THEN greatest(max(s.customer_id), $1::BIGINT)::text END
FROM pg_temp._ematix_stage AS s
WHERE s.customer_id IS NOT NULL;  -- $1: watermark

-- 5. check keys: a key that occurs twice is refused before anything is written
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

-- 6. lock target: other writers wait until the commit, readers go on: between finding a row and changing it nobody may move it
LOCK TABLE warehouse.customers IN SHARE ROW EXCLUSIVE MODE;

-- 7. find changes: one join finds what is new and what differs
-- when few rows are staged:
CREATE TEMPORARY TABLE _ematix_changes ON COMMIT DROP AS
SELECT
    CASE WHEN t.ctid IS NULL THEN 'insert' ELSE 'update' END AS _ematix_action,
    t.ctid AS _ematix_ctid, s.ctid AS _ematix_row, s.customer_id, s.email, s.balance, s.profile
FROM (SELECT ctid, * FROM pg_temp._ematix_stage ORDER BY customer_id) AS s
LEFT JOIN warehouse.customers AS t ON t.customer_id = s.customer_id
WHERE t.ctid IS NULL
   OR t.email IS DISTINCT FROM s.email
   OR t.balance IS DISTINCT FROM s.balance
   OR t.profile::text IS DISTINCT FROM s.profile::text
ORDER BY t.ctid;
-- otherwise:
CREATE TEMPORARY TABLE _ematix_changes ON COMMIT DROP AS
SELECT
    CASE WHEN t.ctid IS NULL THEN 'insert' ELSE 'update' END AS _ematix_action,
    t.ctid AS _ematix_ctid, s.ctid AS _ematix_row, s.customer_id, s.email, s.balance, s.profile
FROM pg_temp._ematix_stage AS s
LEFT JOIN warehouse.customers AS t ON t.customer_id = s.customer_id
WHERE t.ctid IS NULL
   OR t.email IS DISTINCT FROM s.email
   OR t.balance IS DISTINCT FROM s.balance
   OR t.profile::text IS DISTINCT FROM s.profile::text
ORDER BY t.ctid;

-- 8. analyze changes: the planner must know how many they are; few it takes for few anyway
-- only when many rows are staged:
ANALYZE pg_temp._ematix_changes;

-- 9. count changes: what follows must change exactly as many rows
SELECT count(*) FILTER (WHERE c._ematix_action = 'update'), count(*) FILTER (WHERE c._ematix_action = 'insert')
FROM pg_temp._ematix_changes AS c;

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

-- 11. update: rows that differ, by their place and their key
UPDATE warehouse.customers AS t
SET
    email = c.email, balance = c.balance, profile = c.profile, _loaded_at = $1::timestamptz,
    _batch_id = $2::uuid
FROM pg_temp._ematix_changes AS c
WHERE c._ematix_action = 'update' AND t.ctid = c._ematix_ctid AND (t.customer_id = c.customer_id) IS TRUE;  -- $1: load_time  -- $2: run_id

-- 12. plan freely: the planner's own choice again
SELECT
    pg_catalog.set_config('enable_hashjoin', pg_catalog.current_setting('ematix_flow.enable_hashjoin'), true),
    pg_catalog.set_config('enable_mergejoin', pg_catalog.current_setting('ematix_flow.enable_mergejoin'), true),
    pg_catalog.set_config('jit', pg_catalog.current_setting('ematix_flow.jit'), true);

-- 13. insert: rows whose key is new
INSERT INTO warehouse.customers (customer_id, email, balance, profile, _loaded_at, _batch_id)
SELECT c.customer_id, c.email, c.balance, c.profile, $1::timestamptz, $2::uuid
FROM pg_temp._ematix_changes AS c
WHERE c._ematix_action = 'insert';  -- $1: load_time  -- $2: run_id
