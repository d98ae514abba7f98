-- 1. create staging: the declared types, so that values are converted and refused as the target would
CREATE TEMPORARY TABLE _ematix_stage (
    customer_id BIGINT NOT NULL,
    email VARCHAR(64) NOT NULL,
    balance NUMERIC(12,2),
    profile JSON,
    _ematix_event_at TIMESTAMPTZ NOT NULL CHECK (isfinite(_ematix_event_at))
) ON COMMIT DROP;

-- 2. stage: the query runs once, on its own server; its rows come over as they are
-- on the source:
COPY (
SELECT q.customer_id, q.email, q.balance, q.profile, q.changed_at
FROM (
SELECT * FROM (VALUES (1::bigint, 'a@x.org', 10.5, NULL::json, timestamptz '2024-01-01 00:00+00')) AS v (customer_id, email, balance, profile, changed_at)
) AS q
) TO STDOUT (FORMAT binary);
-- into:
COPY pg_temp._ematix_stage (customer_id, email, balance, profile, _ematix_event_at) FROM STDIN (FORMAT binary);

-- 3. analyze staging: the planner must know how many rows there are
ANALYZE pg_temp._ematix_stage;

-- 4. check keys: a key that occurs twice is refused before anything is written
SELECT count(*) OVER () AS keys, d.*
FROM (
    SELECT count(*) AS n, left(s.customer_id::text, 80)
    FROM pg_temp._ematix_stage AS s
    JOIN (
        SELECT customer_id, _ematix_event_at
        FROM pg_temp._ematix_stage
        GROUP BY customer_id, _ematix_event_at
        HAVING count(*) > 1
    ) AS r ON s.customer_id = r.customer_id AND s._ematix_event_at = r._ematix_event_at
    GROUP BY s.customer_id, s._ematix_event_at
    HAVING cardinality(array_agg(DISTINCT s.email::text)) > 1
        OR cardinality(array_agg(DISTINCT s.balance::text)) > 1
        OR cardinality(array_agg(DISTINCT s.profile::text)) > 1
) AS d
LIMIT 5;

-- 5. lock target: other writers wait until the commit, readers go on: between finding a row and changing it nobody may move it
LOCK TABLE warehouse.customers IN SHARE ROW EXCLUSIVE MODE;

-- 6. keep latest: of several rows of one key the one with the greatest event time counts
DELETE FROM pg_temp._ematix_stage AS s
USING (
    SELECT s.ctid AS place, row_number() OVER (PARTITION BY s.customer_id ORDER BY s._ematix_event_at DESC, s.ctid) AS n
    FROM pg_temp._ematix_stage AS s
    JOIN (
        SELECT customer_id
        FROM pg_temp._ematix_stage
        GROUP BY customer_id
        HAVING count(*) > 1
    ) AS r ON s.customer_id = r.customer_id
) AS d
WHERE s.ctid = d.place AND d.n > 1;

-- 7. find events: the staged rows with the current versions of their keys
-- when few rows are staged:
CREATE TEMPORARY TABLE _ematix_events ON COMMIT DROP AS
SELECT
    s.ctid AS _ematix_row, s._ematix_event_at, t.ctid AS _ematix_ctid,
    t.valid_from AS _ematix_since,
    (t.ctid IS NULL
   OR t.email IS DISTINCT FROM s.email
   OR t.balance IS DISTINCT FROM s.balance
   OR t.profile::text IS DISTINCT FROM s.profile::text) AS _ematix_differs,
    true AS _ematix_last, s.customer_id
FROM (SELECT ctid, * FROM pg_temp._ematix_stage ORDER BY customer_id) AS s
LEFT JOIN (
    SELECT ctid, valid_from, customer_id, email, balance, profile
    FROM warehouse.customers WHERE is_current
) AS t ON t.customer_id = s.customer_id
WHERE t.ctid IS NULL
   OR t.email IS DISTINCT FROM s.email
   OR t.balance IS DISTINCT FROM s.balance
   OR t.profile::text IS DISTINCT FROM s.profile::text;
-- otherwise:
CREATE TEMPORARY TABLE _ematix_events ON COMMIT DROP AS
SELECT
    s.ctid AS _ematix_row, s._ematix_event_at, t.ctid AS _ematix_ctid,
    t.valid_from AS _ematix_since,
    (t.ctid IS NULL
   OR t.email IS DISTINCT FROM s.email
   OR t.balance IS DISTINCT FROM s.balance
   OR t.profile::text IS DISTINCT FROM s.profile::text) AS _ematix_differs,
    true AS _ematix_last, s.customer_id
FROM pg_temp._ematix_stage AS s
LEFT JOIN (
    SELECT ctid, valid_from, customer_id, email, balance, profile
    FROM warehouse.customers WHERE is_current
) AS t ON t.customer_id = s.customer_id
WHERE t.ctid IS NULL
   OR t.email IS DISTINCT FROM s.email
   OR t.balance IS DISTINCT FROM s.balance
   OR t.profile::text IS DISTINCT FROM s.profile::text;

-- 8. analyze events: the planner must know how many they are
ANALYZE pg_temp._ematix_events;

-- 9. find places: what was stored at the time of events that do not simply follow the current version
CREATE TEMPORARY TABLE _ematix_places ON COMMIT DROP AS
SELECT p.place_of, p.part, p.stored, p.starts, p.ends, p.last_end, p.endless, coalesce(p.next_start, CASE WHEN p.part = 0 THEN p.first_start END) AS next_start
FROM (
    SELECT x.place_of, x.part, x.last_end, x.endless, x.first_start, first_value(x.place) OVER w AS stored, first_value(x.starts) OVER w AS starts,
        first_value(x.ends) OVER w AS ends, first_value(x.next_start) OVER w AS next_start
    FROM (
        SELECT y.*, count(y.place) OVER (PARTITION BY y.key_1 ORDER BY y.moment, y.event) AS part,
            max(y.ends) OVER (PARTITION BY y.key_1) AS last_end, bool_or(y.place IS NOT NULL AND y.ends IS NULL) OVER (PARTITION BY y.key_1) AS endless, min(y.starts) OVER (PARTITION BY y.key_1) AS first_start
        FROM (
            SELECT h.customer_id AS key_1, h.valid_from AS moment, false AS event, h.ctid AS place, h.valid_from AS starts, h.valid_to AS ends,
                lead(h.valid_from) OVER (PARTITION BY h.customer_id ORDER BY h.valid_from) AS next_start, NULL::tid AS place_of
            FROM warehouse.customers AS h
            JOIN (SELECT DISTINCT e.customer_id FROM pg_temp._ematix_events AS e WHERE (e._ematix_ctid IS NULL OR e._ematix_event_at <= e._ematix_since)) AS n ON h.customer_id = n.customer_id
            UNION ALL
            SELECT e.customer_id AS key_1, e._ematix_event_at, true, NULL, NULL, NULL, NULL, e._ematix_row
            FROM pg_temp._ematix_events AS e
            WHERE (e._ematix_ctid IS NULL OR e._ematix_event_at <= e._ematix_since)
        ) AS y
    ) AS x
    WINDOW w AS (PARTITION BY x.key_1, x.part ORDER BY x.moment, x.event)
) AS p
WHERE p.place_of IS NOT NULL;

-- 10. analyze places: the planner must know how many they are
ANALYZE pg_temp._ematix_places;

-- 11. judge events: which of them change something, and how
CREATE TEMPORARY TABLE _ematix_judged ON COMMIT DROP AS
SELECT
    k.row, k.event_at, k.current, k.since, k.late, k.part, k.stored, k.starts, k.ends, k.last_end,
    k.next_start, k.covered, k.key_1, (k.changed AND NOT k.late) AS kept,
    (k.late AND k.last AND k.current IS NULL AND NOT (k.starts < $1::timestamptz - make_interval(secs => 1.5768e+09) AND NOT k.stored_differs)) AS returns,
    false AS refused, (k.current IS NULL AND k.endless) IS TRUE AS endless
FROM (
    SELECT j.*, CASE WHEN j.late THEN j.stored_differs ELSE j.differs END AS changed
    FROM (
SELECT
    e._ematix_row AS row, e._ematix_event_at AS event_at, e._ematix_ctid AS current,
    e._ematix_since AS since, e._ematix_differs AS differs, e._ematix_last AS last,
    CASE WHEN e._ematix_ctid IS NULL THEN e._ematix_event_at < p.last_end IS TRUE ELSE e._ematix_event_at <= e._ematix_since END AS late,
    p.part, p.stored, p.starts, p.ends, p.last_end, p.next_start, p.endless,
    (p.stored IS NOT NULL AND (p.ends IS NULL OR e._ematix_event_at < p.ends)) AS covered,
    (h.ctid IS NULL
   OR h.email IS DISTINCT FROM s.email
   OR h.balance IS DISTINCT FROM s.balance
   OR h.profile::text IS DISTINCT FROM s.profile::text) AS stored_differs,
    NULL::text AS compared, s.customer_id AS key_1
FROM pg_temp._ematix_events AS e
JOIN pg_temp._ematix_stage AS s ON s.ctid = e._ematix_row
LEFT JOIN pg_temp._ematix_places AS p ON p.place_of = e._ematix_row
LEFT JOIN warehouse.customers AS h ON h.ctid = p.stored AND h.valid_from = p.starts AND (p.stored IS NOT NULL AND (p.ends IS NULL OR e._ematix_event_at < p.ends)) AND (h.customer_id = s.customer_id) IS TRUE
    ) AS j
) AS k;  -- $1: load_time

-- 12. check ends: a version without an end that is not the current one leaves no time for another
SELECT count(*)
FROM pg_temp._ematix_judged AS j
WHERE j.endless
HAVING count(*) > 0;

-- 13. find changes: what ends when, and what holds from when until when
CREATE TEMPORARY TABLE _ematix_changes ON COMMIT DROP AS
SELECT
    CASE WHEN k.place IS NULL THEN 'open' ELSE 'change' END AS _ematix_action,
    k.place AS _ematix_ctid, k.since AS _ematix_since, k.event_at AS _ematix_at,
    k.until AS _ematix_until,
    sha256(convert_to(coalesce(replace(s.email::text, '\', '\\'), '\x00NULL\x00') || '\x01' || coalesce(s.balance::text, '\x00NULL\x00') || '\x01' || coalesce(replace(s.profile::text, '\', '\\'), '\x00NULL\x00'), 'UTF8')) AS _ematix_hash,
    s.customer_id, s.email, s.balance, s.profile
FROM (
    SELECT j.row, j.event_at, CASE WHEN j.late THEN j.starts ELSE j.since END AS since, CASE WHEN lag(j.row) OVER w IS NULL THEN CASE WHEN NOT j.late THEN j.current WHEN j.covered THEN j.stored END END AS place,
        coalesce(lead(j.event_at) OVER w, CASE WHEN j.late THEN CASE WHEN j.covered THEN j.ends ELSE j.next_start END END) AS until
    FROM pg_temp._ematix_judged AS j
    WHERE j.kept
    WINDOW w AS (PARTITION BY j.key_1, j.late, CASE WHEN j.late THEN j.part END, CASE WHEN j.late THEN j.covered END ORDER BY j.event_at)
) AS k
JOIN pg_temp._ematix_stage AS s ON s.ctid = k.row
UNION ALL
SELECT
    'open' AS _ematix_action, NULL::tid AS _ematix_ctid, NULL::timestamptz AS _ematix_since,
    greatest($1::timestamptz, j.last_end) AS _ematix_at, NULL::timestamptz AS _ematix_until,
    sha256(convert_to(coalesce(replace(s.email::text, '\', '\\'), '\x00NULL\x00') || '\x01' || coalesce(s.balance::text, '\x00NULL\x00') || '\x01' || coalesce(replace(s.profile::text, '\', '\\'), '\x00NULL\x00'), 'UTF8')) AS _ematix_hash,
    s.customer_id, s.email, s.balance, s.profile
FROM pg_temp._ematix_judged AS j
JOIN pg_temp._ematix_stage AS s ON s.ctid = j.row
WHERE j.returns
ORDER BY _ematix_ctid;  -- $1: load_time

-- 14. analyze changes: the planner must know how many they are; few it takes for few anyway
-- only when many rows are staged:
ANALYZE pg_temp._ematix_changes;

-- 15. count changes: what follows must change exactly as many rows
SELECT count(*) FILTER (WHERE c._ematix_action <> 'open'), count(*) FILTER (WHERE c._ematix_action <> 'close')
FROM pg_temp._ematix_changes AS c;

-- 16. by place: changes are sorted by place: go there, row by row; in partitions, or where triggers would run under these settings, as the planner likes
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

-- 17. close: versions that are replaced or gone; their end is the start of what follows
UPDATE warehouse.customers AS t
SET valid_to = c._ematix_at, is_current = false
FROM pg_temp._ematix_changes AS c
WHERE c._ematix_action <> 'open' AND t.ctid = c._ematix_ctid AND (t.customer_id = c.customer_id) IS TRUE AND t.is_current;

-- 18. plan freely: the planner's own choice again
SELECT
    pg_catalog.set_config('enable_hashjoin', pg_catalog.current_setting('ematix_flow.enable_hashjoin'), true),
    pg_catalog.set_config('enable_mergejoin', pg_catalog.current_setting('ematix_flow.enable_mergejoin'), true),
    pg_catalog.set_config('jit', pg_catalog.current_setting('ematix_flow.jit'), true);

-- 19. insert: the new versions; that of a key that comes back starts no earlier than its last one ended
INSERT INTO warehouse.customers (
    customer_id, email, balance, profile, valid_from, valid_to, is_current, row_hash, _loaded_at,
    _batch_id
)
SELECT
    c.customer_id, c.email, c.balance, c.profile, c._ematix_at, c._ematix_until,
    c._ematix_until IS NULL, c._ematix_hash, $1::timestamptz, $2::uuid
FROM pg_temp._ematix_changes AS c
WHERE c._ematix_action <> 'close';  -- $1: load_time  -- $2: run_id

-- 20. expire: current versions that started longer ago than the ttl
UPDATE warehouse.customers AS t
SET valid_to = greatest($1::timestamptz, t.valid_from + interval '1 microsecond'), is_current = false
WHERE t.is_current AND t.valid_from < $1::timestamptz - make_interval(secs => 1.5768e+09);  -- $1: load_time
