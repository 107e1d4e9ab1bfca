-- The views' file, format 2. It is disposable: whatever is lost here is folded from the log again.

-- purpose: one row for each generation of a view: its shape, its table (`diptych_name_epoch`), whether it is the one that
-- answers, and up to where it has applied the log
CREATE TABLE diptych_generation (
    name         TEXT    NOT NULL,
    epoch        INTEGER NOT NULL,
    live         INTEGER NOT NULL,
    fingerprint  TEXT    NOT NULL,
    log_id       TEXT    NOT NULL,
    position     INTEGER NOT NULL,
    event_id     BLOB    NOT NULL,
    failure      BLOB,
    PRIMARY KEY (name, epoch)
) STRICT, WITHOUT ROWID;

-- purpose: of a view, one generation answers at most
CREATE UNIQUE INDEX diptych_live ON diptych_generation (name) WHERE live;

-- purpose: the views that an operator has paused, and since when
CREATE TABLE diptych_pause (
    name   TEXT NOT NULL PRIMARY KEY,
    since  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
