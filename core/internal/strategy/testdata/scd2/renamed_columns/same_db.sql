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

-- 6. find changes: one join with the current versions finds what is new, what differs
-- when few rows are staged:
CREATE TEMPORARY TABLE _ematix_changes ON COMMIT DROP AS
SELECT
    CASE WHEN t.ctid IS NULL THEN 'open' ELSE 'change' END AS _ematix_action,
    t.ctid AS _ematix_ctid,
    greatest($1::timestamptz, t."From" + interval '1 microsecond') AS _ematix_at,
    sha256(convert_to(coalesce(replace(s.email::text, '\', '\\'), '\x00NULL\x00') || '\x01' || coalesce(s.balance::text, '\x00NULL\x00') || '\x01' || coalesce(replace(s.profile::text, '\', '\\'), '\x00NULL\x00'), 'UTF8')) AS _ematix_hash,
    s.customer_id, s.email, s.balance, s.profile
FROM (SELECT ctid, * FROM pg_temp._ematix_stage ORDER BY customer_id) AS s
LEFT JOIN (
    SELECT ctid, "From", customer_id, email, balance, profile
    FROM warehouse.customers WHERE now
) AS t ON t.customer_id = s.customer_id
WHERE t.ctid IS NULL
   OR t.email IS DISTINCT FROM s.email
   OR t.balance IS DISTINCT FROM s.balance
   OR t.profile::text IS DISTINCT FROM s.profile::text
ORDER BY t.ctid;
-- otherwise:
CREATE TEMPORARY TABLE _ematix_changes ON COMMIT DROP AS
SELECT
    CASE WHEN t.ctid IS NULL THEN 'open' ELSE 'change' END AS _ematix_action,
    t.ctid AS _ematix_ctid,
    greatest($1::timestamptz, t."From" + interval '1 microsecond') AS _ematix_at,
    sha256(convert_to(coalesce(replace(s.email::text, '\', '\\'), '\x00NULL\x00') || '\x01' || coalesce(s.balance::text, '\x00NULL\x00') || '\x01' || coalesce(replace(s.profile::text, '\', '\\'), '\x00NULL\x00'), 'UTF8')) AS _ematix_hash,
    s.customer_id, s.email, s.balance, s.profile
FROM pg_temp._ematix_stage AS s
LEFT JOIN (
    SELECT ctid, "From", customer_id, email, balance, profile
    FROM warehouse.customers WHERE now
) AS t ON t.customer_id = s.customer_id
WHERE t.ctid IS NULL
   OR t.email IS DISTINCT FROM s.email
   OR t.balance IS DISTINCT FROM s.balance
   OR t.profile::text IS DISTINCT FROM s.profile::text
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
    WHERE oid = 'warehouse.customers'::regclass
) AS d;

-- 10. close: versions that are replaced or gone; their end is the start of what follows
UPDATE warehouse.customers AS t
SET until = c._ematix_at, now = false
FROM pg_temp._ematix_changes AS c
WHERE c._ematix_action <> 'open' AND t.ctid = c._ematix_ctid AND (t.customer_id = c.customer_id) IS TRUE AND t.now;

-- 11. plan freely: the planner's own choice again
SELECT
    pg_catalog.set_config('enable_hashjoin', pg_catalog.current_setting('ematix_flow.enable_hashjoin'), true),
    pg_catalog.set_config('enable_mergejoin', pg_catalog.current_setting('ematix_flow.enable_mergejoin'), true),
    pg_catalog.set_config('jit', pg_catalog.current_setting('ematix_flow.jit'), true);

-- 12. insert: the new versions; that of a key that comes back starts no earlier than its last one ended
INSERT INTO warehouse.customers (
    customer_id, email, balance, profile, "From", until, now, hash, _loaded_at, _batch_id
)
SELECT
    c.customer_id, c.email, c.balance, c.profile,
    CASE WHEN p.endless THEN NULL ELSE greatest(c._ematix_at, p.last_end) END, NULL, true,
    c._ematix_hash, $1::timestamptz, $2::uuid
FROM pg_temp._ematix_changes AS c
LEFT JOIN (
    SELECT h.customer_id, max(h.until) AS last_end, count(*) > count(h.until) AS endless
    FROM warehouse.customers AS h
    JOIN pg_temp._ematix_changes AS n ON n._ematix_action = 'open' AND h.customer_id = n.customer_id
    GROUP BY h.customer_id
) AS p ON c._ematix_action = 'open' AND p.customer_id = c.customer_id
WHERE c._ematix_action <> 'close';  -- $1: load_time  -- $2: run_id
