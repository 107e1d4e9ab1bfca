-- The statements about views as such. Those about a view's rows are made from its shape, in `rows.py` and `select.py`.

-- name: live
-- purpose: the generation of a view that answers; the plus keeps to the table, which is in memory sooner than an index is
-- binds: name
SELECT fingerprint, live, epoch, log_id, position, event_id, failure, since
FROM diptych_generation LEFT JOIN diptych_pause USING (name) WHERE name = ? AND +live;

-- name: generations
-- purpose: all generations of a view
-- binds: name
SELECT fingerprint, live, epoch, log_id, position, event_id, failure, since
FROM diptych_generation LEFT JOIN diptych_pause USING (name) WHERE name = ? ORDER BY epoch;

-- name: add
-- purpose: a generation that is filled from the log's beginning
-- binds: name, epoch, fingerprint, log_id
INSERT INTO diptych_generation (name, epoch, live, fingerprint, log_id, position, event_id) VALUES (?, ?, 0, ?, ?, 0, x'');

-- name: remove
-- purpose: forget a generation
-- binds: name, epoch
DELETE FROM diptych_generation WHERE name = ? AND epoch = ?;

-- name: go_live
-- purpose: let a generation answer, when the one before is removed
-- binds: name, epoch
UPDATE diptych_generation SET live = 1 WHERE name = ? AND epoch = ?;

-- name: advance
-- purpose: move a checkpoint, if it is where its projector left it and the view is not paused; gives whether it is live
-- binds: new position, new event_id, name, epoch, old position
UPDATE diptych_generation SET position = ?, event_id = ?, failure = NULL WHERE name = ? AND epoch = ? AND position = ?
    AND NOT EXISTS (SELECT 1 FROM diptych_pause WHERE diptych_pause.name = diptych_generation.name) RETURNING live;

-- name: fail
-- purpose: keep why a projection stands still
-- binds: failure (JSON), name, epoch, position
UPDATE diptych_generation SET failure = ? WHERE name = ? AND epoch = ? AND position = ?;

-- name: paused
-- purpose: since when a view is paused
-- binds: name
SELECT since FROM diptych_pause WHERE name = ?;

-- name: pause
-- purpose: let no checkpoint of a view move
-- binds: name, since
INSERT INTO diptych_pause (name, since) VALUES (?, ?);

-- name: resume
-- purpose: let a view's checkpoints move again
-- binds: name
DELETE FROM diptych_pause WHERE name = ?;
