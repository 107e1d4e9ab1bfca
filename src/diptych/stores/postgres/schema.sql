-- The tables as all migrations together make them: for people to read, and for a test to hold the migrations against.

-- The log. Every table but `log` only ever grows, and no stored event is changed.

-- purpose: which migrations were applied
CREATE TABLE diptych.migration (
    number      integer          NOT NULL PRIMARY KEY,
    name        text COLLATE "C" NOT NULL,
    applied_at  timestamptz      NOT NULL DEFAULT now()
);

-- purpose: one row, what tells this log from every other, and the bounded context that it belongs to
CREATE TABLE diptych.log (
    log_id   text COLLATE "C" NOT NULL PRIMARY KEY,
    context  text COLLATE "C"
);

INSERT INTO diptych.log (log_id) VALUES (substr(replace(gen_random_uuid()::text, '-', ''), 17));

-- purpose: all events in commit order; recorded_at is microseconds since 1970 UTC; tags is a JSON array
CREATE TABLE diptych.event (
    position     bigint           NOT NULL PRIMARY KEY,
    version      bigint           NOT NULL,
    recorded_at  bigint           NOT NULL,
    schema       integer          NOT NULL,
    stream       text COLLATE "C" NOT NULL,
    type         text COLLATE "C" NOT NULL,
    event_id     bytea            NOT NULL,
    tags         text COLLATE "C" NOT NULL,
    data         bytea            NOT NULL,
    metadata     bytea            NOT NULL
);

-- purpose: load a stream, and the last line of defence against two events of one version
CREATE UNIQUE INDEX event_stream ON diptych.event (stream, version);

-- purpose: events by type, after a position
CREATE INDEX event_type ON diptych.event (type, position);

-- purpose: the types and schemas that there are events of, and the first event of each
CREATE TABLE diptych.event_kind (
    position  bigint           NOT NULL,
    schema    integer          NOT NULL,
    type      text COLLATE "C" NOT NULL,
    PRIMARY KEY (type, schema)
);

-- purpose: events by tag
CREATE TABLE diptych.event_tag (
    tag       text COLLATE "C" NOT NULL,
    position  bigint           NOT NULL,
    type      text COLLATE "C" NOT NULL,
    PRIMARY KEY (tag, position)
);

-- purpose: one row for each accepted command, with its outcome; hash is the place for a chain over commits
CREATE TABLE diptych.ledger (
    position     bigint           NOT NULL,
    version      bigint           NOT NULL,
    recorded_at  bigint           NOT NULL,
    events       integer          NOT NULL,
    command_id   text COLLATE "C" NOT NULL PRIMARY KEY,
    stream       text COLLATE "C" NOT NULL,
    fingerprint  bytea            NOT NULL,
    hash         bytea
);

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
