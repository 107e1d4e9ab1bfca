-- The snapshots' file, format 1. It is disposable: whatever is lost here is folded from the log again.

-- purpose: the newest snapshot of each stream that has one: the event that it ends with, its shape, and its state
CREATE TABLE snapshot (
    stream    TEXT    NOT NULL PRIMARY KEY,
    version   INTEGER NOT NULL,
    position  INTEGER NOT NULL,
    event_id  BLOB    NOT NULL,
    shape     TEXT    NOT NULL,
    data      BLOB    NOT NULL
) STRICT;
