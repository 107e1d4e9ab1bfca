-- The views' file, format 1. It is disposable: whatever is lost here is folded from the log again.

-- purpose: one row for each view: its shape, its table (`diptych_name_epoch`), and up to where it has applied the log
CREATE TABLE diptych_view (
    name         TEXT    NOT NULL PRIMARY KEY,
    fingerprint  TEXT    NOT NULL,
    epoch        INTEGER NOT NULL,
    log_id       TEXT    NOT NULL,
    position     INTEGER NOT NULL,
    event_id     BLOB    NOT NULL,
    failure      BLOB
) STRICT, WITHOUT ROWID;
