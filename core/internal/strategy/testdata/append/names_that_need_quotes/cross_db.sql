-- 1. create staging: the declared types, so that values are converted and refused as the target would
CREATE TEMPORARY TABLE _ematix_stage (
    "Order Id" INTEGER NOT NULL,
    "select" TEXT,
    "quote""d" TIMESTAMPTZ
) ON COMMIT DROP;

-- 2. stage: the query runs once, on its own server; its rows come over as they are
-- on the source:
COPY (
SELECT q."Order Id", q."select", q."quote""d"
FROM (
SELECT 1 AS "Order Id", 'x' AS "select", '2024-01-01'::timestamptz AS "quote""d" -- the end
) AS q
) TO STDOUT (FORMAT binary);
-- into:
COPY pg_temp._ematix_stage ("Order Id", "select", "quote""d") FROM STDIN (FORMAT binary);

-- 3. analyze staging: the planner must know how many rows there are
ANALYZE pg_temp._ematix_stage;

-- 4. insert: all staged rows
INSERT INTO "Ware House"."Order" ("Order Id", "select", "quote""d", _loaded_at, _batch_id)
SELECT s."Order Id", s."select", s."quote""d", $1::timestamptz, $2::uuid
FROM pg_temp._ematix_stage AS s;  -- $1: load_time  -- $2: run_id
