-- 1. insert: every row of the query, as it comes from its own server
-- on the source:
COPY (
SELECT q."Order Id", q."select", q."quote""d", :load_time::timestamptz, :run_id::uuid
FROM (
SELECT 1 AS "Order Id", 'x' AS "select", '2024-01-01'::timestamptz AS "quote""d" -- the end
) AS q
) TO STDOUT (FORMAT binary);
-- into:
COPY "Ware House"."Order" ("Order Id", "select", "quote""d", _loaded_at, _batch_id) FROM STDIN (FORMAT binary);
