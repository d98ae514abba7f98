-- A delta into a table of current rows: each key looked up in the index, by a guarded INSERT ... ON CONFLICT. No plan needs statistics of the stage.
BEGIN;
\ir stage.sql
DO $$ BEGIN IF (SELECT count(*) <> count(DISTINCT id) FROM stage) THEN RAISE 'duplicate or null keys'; END IF; END $$;
INSERT INTO hand.orders AS t
SELECT id, name, city, amount, qty, ratio, day, seen, now(), '00000000-0000-4000-8000-0000000000aa'::uuid FROM stage
ON CONFLICT (id) DO UPDATE SET
  name = EXCLUDED.name, city = EXCLUDED.city, amount = EXCLUDED.amount, qty = EXCLUDED.qty, ratio = EXCLUDED.ratio, day = EXCLUDED.day, seen = EXCLUDED.seen,
  _loaded_at = EXCLUDED._loaded_at, _batch_id = EXCLUDED._batch_id
WHERE EXCLUDED.name IS DISTINCT FROM t.name OR EXCLUDED.city IS DISTINCT FROM t.city OR EXCLUDED.amount IS DISTINCT FROM t.amount
  OR EXCLUDED.qty IS DISTINCT FROM t.qty OR EXCLUDED.ratio IS DISTINCT FROM t.ratio OR EXCLUDED.day IS DISTINCT FROM t.day
  OR EXCLUDED.seen IS DISTINCT FROM t.seen;
COMMIT;
