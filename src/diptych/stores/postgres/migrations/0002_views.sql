-- The views, in a schema of their own, where each has a table of rows for each generation. They are disposable: whatever is
-- lost here is folded from the log again.

CREATE SCHEMA diptych_views;

-- purpose: one row for each generation of a view: its shape, whether it answers, and up to where it has applied the log;
-- `paused` stands here as well, so that a commit that waits for a pause sees it
CREATE TABLE diptych.generation (
    epoch        bigint           NOT NULL,
    position     bigint           NOT NULL DEFAULT 0,
    live         boolean          NOT NULL DEFAULT false,
    paused       boolean          NOT NULL DEFAULT false,
    name         text COLLATE "C" NOT NULL,
    fingerprint  text COLLATE "C" NOT NULL,
    log_id       text COLLATE "C" NOT NULL,
    event_id     bytea            NOT NULL DEFAULT '',
    failure      bytea,
    PRIMARY KEY (name, epoch)
) WITH (fillfactor = 50);

-- purpose: the one generation of a view that answers
CREATE UNIQUE INDEX generation_live ON diptych.generation (name) WHERE live;

-- purpose: the views that are paused, also those that were never filled, and since when
CREATE TABLE diptych.pause (
    name   text COLLATE "C" NOT NULL PRIMARY KEY,
    since  text COLLATE "C" NOT NULL
);
