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

-- 4. check keys: a key that occurs twice is refused before anything is written
SELECT count(s."Order Id") - count(DISTINCT s."Order Id") + greatest(count(*) - count(s."Order Id") - 1, 0)
FROM pg_temp._ematix_stage AS s;
-- only where that is not 0:
SELECT count(*) OVER () AS keys, d.*
FROM (
    SELECT count(*) AS n, left(s."Order Id"::text, 80)
    FROM pg_temp._ematix_stage AS s
    GROUP BY s."Order Id"
    HAVING count(*) > 1
) AS d
LIMIT 5;

-- 5. lock target: other writers wait until the commit, readers go on: between finding a row and changing it nobody may move it
LOCK TABLE "Ware House"."Order" IN SHARE ROW EXCLUSIVE MODE;

-- 6. find changes: one join with the current versions finds what is new, what differs
-- when few rows are staged:
CREATE TEMPORARY TABLE _ematix_changes ON COMMIT DROP AS
SELECT
    CASE WHEN t.ctid IS NULL THEN 'open' ELSE 'change' END AS _ematix_action,
    t.ctid AS _ematix_ctid,
    greatest($1::timestamptz, t.valid_from + interval '1 microsecond') AS _ematix_at,
    sha256(convert_to(coalesce(replace(s."select"::text, '\', '\\'), '\x00NULL\x00') || '\x01' || coalesce(s."quote""d"::text, '\x00NULL\x00'), 'UTF8')) AS _ematix_hash,
    s."Order Id", s."select", s."quote""d"
FROM (SELECT ctid, * FROM pg_temp._ematix_stage ORDER BY "Order Id") AS s
LEFT JOIN (
    SELECT ctid, valid_from, "Order Id", "select", "quote""d"
    FROM "Ware House"."Order" WHERE is_current
) AS t ON t."Order Id" = s."Order Id"
WHERE t.ctid IS NULL
   OR t."select" IS DISTINCT FROM s."select"
   OR t."quote""d" IS DISTINCT FROM s."quote""d"
ORDER BY t.ctid;
-- otherwise:
CREATE TEMPORARY TABLE _ematix_changes ON COMMIT DROP AS
SELECT
    CASE WHEN t.ctid IS NULL THEN 'open' ELSE 'change' END AS _ematix_action,
    t.ctid AS _ematix_ctid,
    greatest($1::timestamptz, t.valid_from + interval '1 microsecond') AS _ematix_at,
    sha256(convert_to(coalesce(replace(s."select"::text, '\', '\\'), '\x00NULL\x00') || '\x01' || coalesce(s."quote""d"::text, '\x00NULL\x00'), 'UTF8')) AS _ematix_hash,
    s."Order Id", s."select", s."quote""d"
FROM pg_temp._ematix_stage AS s
LEFT JOIN (
    SELECT ctid, valid_from, "Order Id", "select", "quote""d"
    FROM "Ware House"."Order" WHERE is_current
) AS t ON t."Order Id" = s."Order Id"
WHERE t.ctid IS NULL
   OR t."select" IS DISTINCT FROM s."select"
   OR t."quote""d" IS DISTINCT FROM s."quote""d"
ORDER BY t.ctid;  -- $1: load_time

-- 7. analyze changes: the planner must know how many they are; few it takes for few anyway
-- only when many rows are staged:
ANALYZE pg_temp._ematix_changes;

-- 8. count changes: what follows must change exactly as many rows
SELECT count(*) FILTER (WHERE c._ematix_action <> 'open'), count(*) FILTER (WHERE c._ematix_action <> 'close')
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
    WHERE oid = '"Ware House"."Order"'::regclass
) AS d;

-- 10. close: versions that are replaced or gone; their end is the start of what follows
UPDATE "Ware House"."Order" AS t
SET valid_to = c._ematix_at, is_current = false
FROM pg_temp._ematix_changes AS c
WHERE c._ematix_action <> 'open' AND t.ctid = c._ematix_ctid AND (t."Order Id" = c."Order Id") IS TRUE AND t.is_current;

-- 11. plan freely: the planner's own choice again
SELECT
    pg_catalog.set_config('enable_hashjoin', pg_catalog.current_setting('ematix_flow.enable_hashjoin'), true),
    pg_catalog.set_config('enable_mergejoin', pg_catalog.current_setting('ematix_flow.enable_mergejoin'), true),
    pg_catalog.set_config('jit', pg_catalog.current_setting('ematix_flow.jit'), true);

-- 12. insert: the new versions; that of a key that comes back starts no earlier than its last one ended
INSERT INTO "Ware House"."Order" (
    "Order Id", "select", "quote""d", valid_from, valid_to, is_current, row_hash, _loaded_at,
    _batch_id
)
SELECT
    c."Order Id", c."select", c."quote""d",
    CASE WHEN p.endless THEN NULL ELSE greatest(c._ematix_at, p.last_end) END, NULL, true,
    c._ematix_hash, $1::timestamptz, $2::uuid
FROM pg_temp._ematix_changes AS c
LEFT JOIN (
    SELECT h."Order Id", max(h.valid_to) AS last_end, count(*) > count(h.valid_to) AS endless
    FROM "Ware House"."Order" AS h
    JOIN pg_temp._ematix_changes AS n ON n._ematix_action = 'open' AND h."Order Id" = n."Order Id"
    GROUP BY h."Order Id"
) AS p ON c._ematix_action = 'open' AND p."Order Id" = c."Order Id"
WHERE c._ematix_action <> 'close';  -- $1: load_time  -- $2: run_id
