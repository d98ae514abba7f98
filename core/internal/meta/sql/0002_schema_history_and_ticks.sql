-- What made each table and changed it since, in the transaction that did it.
CREATE TABLE ematix_flow.schema_history (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target_schema TEXT NOT NULL,
    target_table  TEXT NOT NULL,
    fingerprint   TEXT NOT NULL,
    ddl           TEXT NOT NULL,
    run_id        UUID,
    applied_at    TIMESTAMPTZ NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX schema_history_target ON ematix_flow.schema_history (target_schema, target_table, id);

-- One row for each tick of a schedule that a host has taken: who inserts it runs the pipeline.
CREATE TABLE ematix_flow.ticks (
    pipeline_name TEXT NOT NULL,
    tick          TIMESTAMPTZ NOT NULL,
    claimed_at    TIMESTAMPTZ NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    host          TEXT NOT NULL,
    pid           INTEGER NOT NULL,
    PRIMARY KEY (pipeline_name, tick)
);
