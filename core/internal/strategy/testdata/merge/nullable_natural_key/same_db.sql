-- 1. create staging: the declared types, so that values are converted and refused as the target would
CREATE TEMPORARY TABLE _ematix_stage (
    id UUID NOT NULL,
    country TEXT NOT NULL,
    region TEXT,
    rate DOUBLE PRECISION,
    note BYTEA
) ON COMMIT DROP;

-- 2. stage: the query runs once; everything that follows reads its result
INSERT INTO pg_temp._ematix_stage (id, country, region, rate, note)
SELECT q.id, q.country, q.region, q.rate, q.note
FROM (
SELECT gen_random_uuid() AS id, 'DE' AS country, NULL::text AS region, 0.19::float8 AS rate, '\x00'::bytea AS note
) AS q;

-- 3. analyze staging: the planner must know how many rows there are
ANALYZE pg_temp._ematix_stage;

-- 4. check keys: a key that occurs twice is refused before anything is written
SELECT count(*) OVER () AS keys, d.*
FROM (
    SELECT count(*) AS n, left(s.country::text, 80), left(s.region::text, 80)
    FROM pg_temp._ematix_stage AS s
    GROUP BY s.country, s.region
    HAVING count(*) > 1
) AS d
LIMIT 5;

-- 5. lock target: other writers wait until the commit, readers go on: between finding a row and changing it nobody may move it
LOCK TABLE warehouse.rates IN SHARE ROW EXCLUSIVE MODE;

-- 6. find changes: one join finds what is new and what differs
-- when few rows are staged:
CREATE TEMPORARY TABLE _ematix_changes ON COMMIT DROP AS
SELECT
    CASE WHEN t.ctid IS NULL THEN 'insert' ELSE 'update' END AS _ematix_action,
    t.ctid AS _ematix_ctid, s.ctid AS _ematix_row, s.id, s.country, s.region, s.rate, s.note
FROM (SELECT ctid, * FROM pg_temp._ematix_stage ORDER BY country, region) AS s
LEFT JOIN warehouse.rates AS t ON t.country = s.country AND ARRAY[t.region] = ARRAY[s.region]
WHERE t.ctid IS NULL
   OR t.rate IS DISTINCT FROM s.rate
   OR t.note IS DISTINCT FROM s.note
ORDER BY t.ctid;
-- otherwise:
CREATE TEMPORARY TABLE _ematix_changes ON COMMIT DROP AS
SELECT
    CASE WHEN t.ctid IS NULL THEN 'insert' ELSE 'update' END AS _ematix_action,
    t.ctid AS _ematix_ctid, s.ctid AS _ematix_row, s.id, s.country, s.region, s.rate, s.note
FROM pg_temp._ematix_stage AS s
LEFT JOIN warehouse.rates AS t ON t.country = s.country AND ARRAY[t.region] = ARRAY[s.region]
WHERE t.ctid IS NULL
   OR t.rate IS DISTINCT FROM s.rate
   OR t.note IS DISTINCT FROM s.note
ORDER BY t.ctid;

-- 7. analyze changes: the planner must know how many they are; few it takes for few anyway
-- only when many rows are staged:
ANALYZE pg_temp._ematix_changes;

-- 8. count changes: what follows must change exactly as many rows
SELECT count(*) FILTER (WHERE c._ematix_action = 'update'), count(*) FILTER (WHERE c._ematix_action = 'insert'),
    count(DISTINCT c._ematix_row) FILTER (WHERE c._ematix_action = 'update')
FROM pg_temp._ematix_changes AS c;

-- 9. by place: changes are sorted by place: go there, row by row; in partitions, or where triggers would run under these settings, as the planner likes
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
    WHERE oid = 'warehouse.rates'::regclass
) AS d;

-- 10. update: rows that differ, by their place and their key
UPDATE warehouse.rates AS t
SET rate = c.rate, note = c.note, _loaded_at = $1::timestamptz, _batch_id = $2::uuid
FROM pg_temp._ematix_changes AS c
WHERE c._ematix_action = 'update' AND t.ctid = c._ematix_ctid AND (t.country = c.country AND ARRAY[t.region] = ARRAY[c.region]) IS TRUE;  -- $1: load_time  -- $2: run_id

-- 11. plan freely: the planner's own choice again
SELECT
    pg_catalog.set_config('enable_hashjoin', pg_catalog.current_setting('ematix_flow.enable_hashjoin'), true),
    pg_catalog.set_config('enable_mergejoin', pg_catalog.current_setting('ematix_flow.enable_mergejoin'), true),
    pg_catalog.set_config('jit', pg_catalog.current_setting('ematix_flow.jit'), true);

-- 12. insert: rows whose key is new
INSERT INTO warehouse.rates (id, country, region, rate, note, _loaded_at, _batch_id)
SELECT c.id, c.country, c.region, c.rate, c.note, $1::timestamptz, $2::uuid
FROM pg_temp._ematix_changes AS c
WHERE c._ematix_action = 'insert';  -- $1: load_time  -- $2: run_id
