-- 1. insert: every row of the query, in one statement
INSERT INTO "Ware House"."Order" ("Order Id", "select", "quote""d", _loaded_at, _batch_id)
SELECT q."Order Id", q."select", q."quote""d", $1::timestamptz, $2::uuid
FROM (
SELECT 1 AS "Order Id", 'x' AS "select", '2024-01-01'::timestamptz AS "quote""d" -- the end
) AS q;  -- $1: load_time  -- $2: run_id
