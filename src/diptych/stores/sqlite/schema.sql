-- The log's file, format 2. Every table but `log` only ever grows, and no stored event is changed.

-- purpose: one row, what tells this log from every other, and the bounded context that it belongs to
CREATE TABLE log (
    log_id   TEXT NOT NULL PRIMARY KEY,
    context  TEXT
) STRICT, WITHOUT ROWID;

INSERT INTO log (log_id) VALUES (lower(hex(randomblob(8))));

-- purpose: all events in commit order; recorded_at is microseconds since 1970 UTC; tags is a JSON array, or empty
CREATE TABLE event (
    position     INTEGER PRIMARY KEY,
    stream       TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    type         TEXT    NOT NULL,
    schema       INTEGER NOT NULL,
    event_id     BLOB    NOT NULL,
    recorded_at  INTEGER NOT NULL,
    tags         BLOB    NOT NULL,
    data         BLOB    NOT NULL,
    metadata     BLOB    NOT NULL
) STRICT;

-- purpose: load a stream, and the last line of defence against two events of one version
CREATE UNIQUE INDEX event_stream ON event (stream, version);

-- purpose: events by type, after a position
CREATE INDEX event_type ON event (type, position);

-- purpose: the types and schemas that there are events of, and the first event of each
CREATE TABLE event_kind (
    type      TEXT    NOT NULL,
    schema    INTEGER NOT NULL,
    position  INTEGER NOT NULL,
    PRIMARY KEY (type, schema)
) STRICT, WITHOUT ROWID;

-- purpose: events by tag
CREATE TABLE event_tag (
    tag       TEXT    NOT NULL,
    position  INTEGER NOT NULL,
    type      TEXT    NOT NULL,
    PRIMARY KEY (tag, position)
) STRICT, WITHOUT ROWID;

-- purpose: one row for each accepted command, with its outcome; hash is the place for a chain over commits
CREATE TABLE ledger (
    command_id   TEXT    NOT NULL PRIMARY KEY,
    fingerprint  BLOB    NOT NULL,
    position     INTEGER NOT NULL,
    events       INTEGER NOT NULL,
    stream       TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    recorded_at  INTEGER NOT NULL,
    hash         BLOB
) STRICT, WITHOUT ROWID;
