-- Staged rows into a table of current rows: a guarded MERGE.
BEGIN;
\ir stage.sql
ANALYZE stage;
DO $$ BEGIN IF (SELECT count(*) <> count(DISTINCT id) FROM stage) THEN RAISE 'duplicate or null keys'; END IF; END $$;
MERGE INTO hand.orders t USING stage s ON t.id = s.id
WHEN MATCHED AND (
  s.name IS DISTINCT FROM t.name OR s.city IS DISTINCT FROM t.city OR s.amount IS DISTINCT FROM t.amount OR s.qty IS DISTINCT FROM t.qty
  OR s.ratio IS DISTINCT FROM t.ratio OR s.day IS DISTINCT FROM t.day OR s.seen IS DISTINCT FROM t.seen
) THEN UPDATE SET
  name = s.name, city = s.city, amount = s.amount, qty = s.qty, ratio = s.ratio, day = s.day, seen = s.seen,
  _loaded_at = now(), _batch_id = '00000000-0000-4000-8000-0000000000aa'::uuid
WHEN NOT MATCHED THEN INSERT VALUES (
  s.id, s.name, s.city, s.amount, s.qty, s.ratio, s.day, s.seen, now(), '00000000-0000-4000-8000-0000000000aa'::uuid);
COMMIT;
