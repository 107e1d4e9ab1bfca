-- The views' file, format 3. It is disposable: whatever is lost here is folded from the log again.

-- purpose: one row for each view: the number that its newest generation was given, and the generation that is shown by the
-- SQL view of its name, which is the one that went live last
CREATE TABLE diptych_view (
    name    TEXT    NOT NULL PRIMARY KEY,
    newest  INTEGER NOT NULL,
    shown   INTEGER
) STRICT, WITHOUT ROWID;

-- purpose: one row for each generation of a view, whose rows are in the table `diptych_name_generation`; the state is
-- filling, live or kept
CREATE TABLE diptych_generation (
    name         TEXT    NOT NULL,
    generation   INTEGER NOT NULL,
    fingerprint  TEXT    NOT NULL,
    log_id       TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    segments     INTEGER NOT NULL,
    PRIMARY KEY (name, generation)
) STRICT, WITHOUT ROWID;

-- purpose: of a view, code of one fingerprint has one live generation at most, and one that is being filled
CREATE UNIQUE INDEX diptych_state ON diptych_generation (name, fingerprint, state) WHERE state <> 'kept';

-- purpose: the checkpoint of each segment: up to where the log is applied or parked, whose it is, and how many holds it has
CREATE TABLE diptych_segment (
    name        TEXT    NOT NULL,
    generation  INTEGER NOT NULL,
    segment     INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    event_id    BLOB    NOT NULL,
    owner       TEXT,
    parked      INTEGER NOT NULL,
    failure     BLOB,
    PRIMARY KEY (name, generation, segment)
) STRICT, WITHOUT ROWID;

-- purpose: the workers that may own segments; fingerprints is a JSON array
CREATE TABLE diptych_worker (
    id            TEXT    NOT NULL PRIMARY KEY,
    beat          INTEGER NOT NULL,
    fingerprints  BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

-- purpose: dead letters in order; what is held back is a row's key (its text), or else a stream; cause is JSON
CREATE TABLE diptych_letter (
    name        TEXT    NOT NULL,
    generation  INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    segment     INTEGER NOT NULL,
    key         TEXT    NOT NULL,
    stream      TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    parked_at   TEXT    NOT NULL,
    cause       BLOB,
    PRIMARY KEY (name, generation, position, segment, key, stream)
) STRICT, WITHOUT ROWID;

-- purpose: the letters of a hold in order; those of all streams have the empty key
CREATE INDEX diptych_letter_key ON diptych_letter (name, generation, key, position);

-- purpose: the events that an operator has had passed over
CREATE TABLE diptych_skip (
    name      TEXT    NOT NULL,
    position  INTEGER NOT NULL,
    key       TEXT    NOT NULL,
    stream    TEXT    NOT NULL,
    because   TEXT    NOT NULL,
    at        TEXT    NOT NULL,
    PRIMARY KEY (name, position, key, stream)
) STRICT, WITHOUT ROWID;

-- purpose: the views that are paused, since when and why
CREATE TABLE diptych_pause (
    name    TEXT NOT NULL PRIMARY KEY,
    since   TEXT NOT NULL,
    reason  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
