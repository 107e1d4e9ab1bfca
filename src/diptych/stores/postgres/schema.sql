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

-- purpose: one row for each view's name: the highest number that a generation of it ever had, the one that the SQL view of
-- its name shows, and, where it is paused, since when and why (JSON)
CREATE TABLE diptych.view (
    generations  bigint           NOT NULL DEFAULT 0,
    shown        bigint,
    name         text COLLATE "C" NOT NULL PRIMARY KEY,
    pause        bytea
);

-- purpose: one row for each generation of a view: by code of which fingerprint it is filled, from which log, and whether it
-- is `filling`, `live` or `kept`
CREATE TABLE diptych.generation (
    generation   bigint           NOT NULL,
    name         text COLLATE "C" NOT NULL,
    fingerprint  text COLLATE "C" NOT NULL,
    log_id       text COLLATE "C" NOT NULL,
    state        text COLLATE "C" NOT NULL,
    PRIMARY KEY (name, generation)
);

-- purpose: the one generation that answers code of a fingerprint, and the one that is filled to replace it
CREATE UNIQUE INDEX generation_state ON diptych.generation (name, fingerprint, state) WHERE state <> 'kept';

-- purpose: one row for each segment of a generation: up to where it has applied the log, whose it is, how many keys it
-- holds back, and why it does not go on (JSON); `live` and `paused` stand here as well, so that a commit that waits for a
-- switch or a pause sees it
CREATE TABLE diptych.segment (
    generation  bigint           NOT NULL,
    epoch       bigint           NOT NULL,
    position    bigint           NOT NULL,
    segment     integer          NOT NULL,
    parked      integer          NOT NULL DEFAULT 0,
    live        boolean          NOT NULL,
    paused      boolean          NOT NULL,
    name        text COLLATE "C" NOT NULL,
    event_id    bytea            NOT NULL,
    owner       text COLLATE "C",
    failure     bytea,
    PRIMARY KEY (name, generation, segment),
    FOREIGN KEY (name, generation) REFERENCES diptych.generation ON DELETE CASCADE
) WITH (fillfactor = 50);

-- purpose: the workers that take segments; `beat` grows as long as one lives
CREATE TABLE diptych.worker (
    beat          bigint           NOT NULL,
    id            text COLLATE "C" NOT NULL PRIMARY KEY,
    fingerprints  text[]           NOT NULL
);

-- purpose: the dead letters of a generation: for a key (its text) or a stream that is held back, an event that is parked,
-- and why (JSON) if it is not only because of those before it
CREATE TABLE diptych.letter (
    generation  bigint           NOT NULL,
    position    bigint           NOT NULL,
    segment     integer          NOT NULL,
    name        text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    stream      text COLLATE "C" NOT NULL,
    type        text COLLATE "C" NOT NULL,
    parked_at   text COLLATE "C" NOT NULL,
    cause       bytea,
    FOREIGN KEY (name, generation) REFERENCES diptych.generation ON DELETE CASCADE
);

-- purpose: letters in order
CREATE INDEX letter_position ON diptych.letter (name, generation, position);

-- purpose: letters by key, which may be longer than what fits into another kind of index
CREATE INDEX letter_key ON diptych.letter USING hash (key);

-- purpose: letters that may concern every key
CREATE INDEX letter_stream ON diptych.letter (name, generation, position) WHERE stream <> '';

-- purpose: the events that operators have had passed over, for a key or a stream, in all generations of a view
CREATE TABLE diptych.skip (
    position  bigint           NOT NULL,
    name      text COLLATE "C" NOT NULL,
    key       text COLLATE "C" NOT NULL,
    stream    text COLLATE "C" NOT NULL,
    because   text COLLATE "C" NOT NULL,
    at        text COLLATE "C" NOT NULL
);

-- purpose: what is passed over in a view, in order
CREATE INDEX skip_position ON diptych.skip (name, position);

-- The snapshots. They are disposable: whatever is lost here is folded from the log again.

-- purpose: the newest snapshot of each stream that has one: the event that it ends with, its shape, and its state
CREATE TABLE diptych.snapshot (
    position  bigint           NOT NULL,
    version   bigint           NOT NULL,
    stream    text COLLATE "C" NOT NULL PRIMARY KEY,
    shape     text COLLATE "C" NOT NULL,
    event_id  bytea            NOT NULL,
    data      bytea            NOT NULL
);

-- purpose: the views that every append brings forward, and the code that does it
CREATE TABLE diptych.in_step (
    name         text COLLATE "C" NOT NULL PRIMARY KEY,
    fingerprint  text COLLATE "C" NOT NULL
);
