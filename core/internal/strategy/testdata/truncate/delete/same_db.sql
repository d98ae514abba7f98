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

-- 4. lock target: other writers wait until the commit, readers go on: between finding a row and changing it nobody may move it
LOCK TABLE warehouse.customers IN SHARE ROW EXCLUSIVE MODE;

-- 5. count rows: what follows must delete exactly as many
SELECT count(*)
FROM warehouse.customers;

-- 6. delete: every row; readers go on, and see the old or the new content
DELETE FROM warehouse.customers;

-- 7. insert: all staged rows
INSERT INTO warehouse.customers (customer_id, email, balance, profile, _loaded_at, _batch_id)
SELECT s.customer_id, s.email, s.balance, s.profile, $1::timestamptz, $2::uuid
FROM pg_temp._ematix_stage AS s;  -- $1: load_time  -- $2: run_id
