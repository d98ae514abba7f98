-- What an expert types to append the same rows.
BEGIN;
INSERT INTO hand.orders
SELECT id, name, city, amount, qty, ratio, day, seen, now(), '00000000-0000-4000-8000-0000000000aa'::uuid
FROM bench.base;
COMMIT;
