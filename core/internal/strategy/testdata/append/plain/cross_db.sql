-- 1. insert: every row of the query, as it comes from its own server
-- on the source:
COPY (
SELECT q.customer_id, q.email, q.balance, q.profile, :load_time::timestamptz, :run_id::uuid
FROM (
SELECT * FROM (VALUES (1::bigint, 'a@x.org', 10.5, NULL::json), (2, 'b@x.org', NULL, '{}')) AS v (customer_id, email, balance, profile)
) AS q
) TO STDOUT (FORMAT binary);
-- into:
COPY warehouse.customers (customer_id, email, balance, profile, _loaded_at, _batch_id) FROM STDIN (FORMAT binary);
