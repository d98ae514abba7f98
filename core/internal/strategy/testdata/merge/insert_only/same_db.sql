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

-- 6. find changes: one join finds what is new and what differs
-- when few rows are staged:
CREATE TEMPORARY TABLE _ematix_changes ON COMMIT DROP AS
SELECT
    CASE WHEN t.ctid IS NULL THEN 'insert' ELSE 'update' END AS _ematix_action,
    t.ctid AS _ematix_ctid, s.ctid AS _ematix_row, s.customer_id, s.email, s.balance, s.profile
FROM (SELECT ctid, * FROM pg_temp._ematix_stage ORDER BY customer_id) AS s
LEFT JOIN warehouse.customers AS t ON t.customer_id = s.customer_id
WHERE t.ctid IS NULL
ORDER BY t.ctid;
-- otherwise:
CREATE TEMPORARY TABLE _ematix_changes ON COMMIT DROP AS
SELECT
    CASE WHEN t.ctid IS NULL THEN 'insert' ELSE 'update' END AS _ematix_action,
    t.ctid AS _ematix_ctid, s.ctid AS _ematix_row, s.customer_id, s.email, s.balance, s.profile
FROM pg_temp._ematix_stage AS s
LEFT JOIN warehouse.customers AS t ON t.customer_id = s.customer_id
WHERE t.ctid IS NULL
ORDER BY t.ctid;

-- 7. analyze changes: the planner must know how many they are; few it takes for few anyway
-- only when many rows are staged:
ANALYZE pg_temp._ematix_changes;

-- 8. count changes: what follows must change exactly as many rows
SELECT count(*) FILTER (WHERE c._ematix_action = 'update'), count(*) FILTER (WHERE c._ematix_action = 'insert')
FROM pg_temp._ematix_changes AS c;

-- 9. insert: rows whose key is new
INSERT INTO warehouse.customers (customer_id, email, balance, profile, _loaded_at, _batch_id)
SELECT c.customer_id, c.email, c.balance, c.profile, $1::timestamptz, $2::uuid
FROM pg_temp._ematix_changes AS c
WHERE c._ematix_action = 'insert';  -- $1: load_time  -- $2: run_id
