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
