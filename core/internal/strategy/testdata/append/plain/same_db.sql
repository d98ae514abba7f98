-- 1. insert: every row of the query, in one statement
INSERT INTO warehouse.customers (customer_id, email, balance, profile, _loaded_at, _batch_id)
SELECT q.customer_id, q.email, q.balance, q.profile, $1::timestamptz, $2::uuid
FROM (
SELECT * FROM (VALUES (1::bigint, 'a@x.org', 10.5, NULL::json), (2, 'b@x.org', NULL, '{}')) AS v (customer_id, email, balance, profile)
) AS q;  -- $1: load_time  -- $2: run_id
