-- What ematix-flow remembers of its runs. Everything is IF NOT EXISTS: a state of before versions were counted is completed, not replaced.
CREATE SCHEMA IF NOT EXISTS ematix_flow;

CREATE TABLE IF NOT EXISTS ematix_flow.run_history (
    run_id         UUID PRIMARY KEY,
    pipeline_name  TEXT NOT NULL,
    target_schema  TEXT NOT NULL,
    target_table   TEXT NOT NULL,
    mode           TEXT NOT NULL,
    path           TEXT NOT NULL,
    started_at     TIMESTAMPTZ NOT NULL,
    finished_at    TIMESTAMPTZ,
    status         TEXT NOT NULL,
    rows_inserted  BIGINT,
    error_message  TEXT,
    rows_updated   BIGINT,
    rows_unchanged BIGINT,
    parent_run_id  UUID,
    step_name      TEXT,
    metrics_json   TEXT
);
ALTER TABLE ematix_flow.run_history
    ADD COLUMN IF NOT EXISTS error_message  TEXT,
    ADD COLUMN IF NOT EXISTS rows_updated   BIGINT,
    ADD COLUMN IF NOT EXISTS rows_unchanged BIGINT,
    ADD COLUMN IF NOT EXISTS parent_run_id  UUID,
    ADD COLUMN IF NOT EXISTS step_name      TEXT,
    ADD COLUMN IF NOT EXISTS metrics_json   TEXT,
    ADD COLUMN IF NOT EXISTS rows_closed    BIGINT,
    ADD COLUMN IF NOT EXISTS rows_deleted   BIGINT,
    ADD COLUMN IF NOT EXISTS loaded_at      TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS xact_id        XID8,
    ADD COLUMN IF NOT EXISTS server_version TEXT,
    ADD COLUMN IF NOT EXISTS engine_version TEXT,
    ADD COLUMN IF NOT EXISTS host           TEXT,
    ADD COLUMN IF NOT EXISTS pid            INTEGER;

-- The load time of a target's previous run is looked up by each run.
CREATE INDEX IF NOT EXISTS run_history_target ON ematix_flow.run_history (target_schema, target_table, loaded_at);
-- Unfinished runs of a target are looked for by each run; there are few of them.
CREATE INDEX IF NOT EXISTS run_history_running ON ematix_flow.run_history (target_schema, target_table) WHERE status = 'running';

CREATE TABLE IF NOT EXISTS ematix_flow.watermarks (
    pipeline_name TEXT PRIMARY KEY,
    column_name   TEXT NOT NULL,
    last_value    TEXT NOT NULL,
    updated_at    TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS ematix_flow.state_version (
    version    INTEGER PRIMARY KEY,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
