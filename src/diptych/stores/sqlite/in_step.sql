-- The views that are kept in step with the log, in the log's own file, where their tables are as well.

-- purpose: the views that every append brings forward, and the code that does it
CREATE TABLE diptych_in_step (
    name         TEXT NOT NULL PRIMARY KEY,
    fingerprint  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
