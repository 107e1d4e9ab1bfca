-- The views, in a schema of their own, where each has a table of rows for each filling. They are disposable: whatever is
-- lost here is folded from the log again.

CREATE SCHEMA diptych_views;

-- purpose: one row for each view: its shape, which filling it is in, and up to where it has applied the log
CREATE TABLE diptych.view (
    epoch        bigint           NOT NULL,
    position     bigint           NOT NULL,
    name         text COLLATE "C" NOT NULL PRIMARY KEY,
    fingerprint  text COLLATE "C" NOT NULL,
    log_id       text COLLATE "C" NOT NULL,
    event_id     bytea            NOT NULL,
    failure      bytea
) WITH (fillfactor = 50);
