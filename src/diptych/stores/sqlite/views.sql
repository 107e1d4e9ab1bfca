-- The statements about views as such. Those about a view's rows are made from its shape, in `rows.py` and `select.py`.

-- name: view
-- purpose: a view's shape and checkpoint
-- binds: name
SELECT fingerprint, epoch, log_id, position, event_id, failure FROM diptych_view WHERE name = ?;

-- name: begin_view
-- purpose: a view that is filled from the log's beginning
-- binds: name, fingerprint, epoch, log_id
INSERT INTO diptych_view (name, fingerprint, epoch, log_id, position, event_id, failure) VALUES (?, ?, ?, ?, 0, x'', NULL)
ON CONFLICT (name) DO UPDATE SET fingerprint = excluded.fingerprint, epoch = excluded.epoch,
    log_id = excluded.log_id, position = 0, event_id = x'', failure = NULL;

-- name: advance
-- purpose: move a checkpoint, if it is where its projector left it
-- binds: new position, new event_id, name, epoch, old position
UPDATE diptych_view SET position = ?, event_id = ?, failure = NULL WHERE name = ? AND epoch = ? AND position = ?;

-- name: fail
-- purpose: keep why a projection stands still
-- binds: failure (JSON), name, epoch, position
UPDATE diptych_view SET failure = ? WHERE name = ? AND epoch = ? AND position = ?;
