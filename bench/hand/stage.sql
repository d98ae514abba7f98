-- The staged rows of the other files, as psql variables say: from a table of this database, or in binary from standard input.
CREATE TEMP TABLE stage (
  id bigint, name varchar(60), city text, amount numeric(12,2), qty integer, ratio double precision, day date, seen timestamptz
) ON COMMIT DROP;
\if :relay
\copy stage FROM pstdin WITH (FORMAT binary)
\else
INSERT INTO stage SELECT id, name, city, amount, qty, ratio, day, seen FROM :source;
\endif
