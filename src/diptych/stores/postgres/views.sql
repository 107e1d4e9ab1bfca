-- The statements about views as such. Those about a view's rows are made from its shape, in `rows.py` and `select.py`.
-- Bind variables are given by position, in the order in which `binds` names them.

-- name: view
-- purpose: a view's shape and checkpoint
-- binds: name
SELECT fingerprint, epoch, log_id, position, event_id, failure FROM diptych.view WHERE name = $1;

-- name: take_turn
-- purpose: keep others from beginning the same view anew in this transaction
-- binds: name
SELECT pg_advisory_xact_lock(1146115158, hashtext('diptych' || ' ' || $1));

-- name: fillings
-- purpose: the tables of a view's fillings, and perhaps others whose names begin so
-- binds: schema of the views, beginning of the name
SELECT tablename FROM pg_tables WHERE schemaname = $1 AND starts_with(tablename, $2);

-- name: begin_view
-- purpose: a view that is filled from the log's beginning
-- binds: name, fingerprint, epoch, log_id
INSERT INTO diptych.view (name, fingerprint, epoch, log_id, position, event_id, failure) VALUES ($1, $2, $3, $4, 0, '', NULL)
ON CONFLICT (name) DO UPDATE SET fingerprint = excluded.fingerprint, epoch = excluded.epoch,
    log_id = excluded.log_id, position = 0, event_id = '', failure = NULL;

-- name: advance
-- purpose: move a checkpoint, if it is where its projector left it; a part of the statement that writes the rows
-- binds: new position, new event_id, name, epoch, old position
UPDATE diptych.view SET position = $1, event_id = $2, failure = NULL WHERE name = $3 AND epoch = $4 AND position = $5
RETURNING pg_notify('diptych', 'view ' || position || ' ' || name);

-- name: fail
-- purpose: keep why a projection stands still
-- binds: failure (JSON), name, epoch, position
WITH failed AS (
    UPDATE diptych.view SET failure = $1 WHERE name = $2 AND epoch = $3 AND position = $4 RETURNING position, name
) SELECT pg_notify('diptych', 'view ' || position || ' ' || name) FROM failed;
