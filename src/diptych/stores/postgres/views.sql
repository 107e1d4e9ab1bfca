-- The statements about views as such. Those about a view's rows are made from its shape, in `rows.py` and `select.py`.
-- Bind variables are given by position, in the order in which `binds` names them.

-- name: live
-- purpose: the generation of a view that answers
-- binds: name
SELECT fingerprint, live, epoch, log_id, position, event_id, failure, since
FROM diptych.generation LEFT JOIN diptych.pause USING (name) WHERE name = $1 AND live;

-- name: generations
-- purpose: all generations of a view
-- binds: name
SELECT fingerprint, live, epoch, log_id, position, event_id, failure, since
FROM diptych.generation LEFT JOIN diptych.pause USING (name) WHERE name = $1 ORDER BY epoch;

-- name: exists
-- purpose: whether a generation is still there; its table may be there for longer
-- binds: name, epoch
SELECT EXISTS (SELECT FROM diptych.generation WHERE name = $1 AND epoch = $2);

-- name: take_turn
-- purpose: keep others from changing the generations of the same view in this transaction
-- binds: name
SELECT pg_advisory_xact_lock(1146115158, hashtext('diptych' || ' ' || $1));

-- name: tables
-- purpose: the tables of a view's generations, and perhaps others whose names begin so
-- binds: schema of the views, beginning of the name
SELECT tablename FROM pg_tables WHERE schemaname = $1 AND starts_with(tablename, $2);

-- name: add
-- purpose: a generation that is filled from the log's beginning
-- binds: name, epoch, fingerprint, log_id
INSERT INTO diptych.generation (name, epoch, fingerprint, log_id, paused)
VALUES ($1, $2, $3, $4, EXISTS (SELECT FROM diptych.pause WHERE name = $1));

-- name: remove
-- purpose: forget a generation
-- binds: name, epoch
DELETE FROM diptych.generation WHERE name = $1 AND epoch = $2;

-- name: go_live
-- purpose: let a generation answer, when the one before is removed
-- binds: name, epoch
UPDATE diptych.generation SET live = true WHERE name = $1 AND epoch = $2;

-- name: advance
-- purpose: move a checkpoint, if it is where its projector left it and the view is not paused; a part of the statement that
-- writes the rows; gives whether the generation is live
-- binds: new position, new event_id, name, epoch, old position
UPDATE diptych.generation SET position = $1, event_id = $2, failure = NULL
WHERE name = $3 AND epoch = $4 AND position = $5 AND NOT paused
RETURNING live, CASE WHEN live THEN pg_notify('diptych', 'view ' || position || ' ' || name)::text END;

-- name: fail
-- purpose: keep why a projection stands still
-- binds: failure (JSON), name, epoch, position
UPDATE diptych.generation SET failure = $1 WHERE name = $2 AND epoch = $3 AND position = $4;

-- name: paused
-- purpose: since when a view is paused
-- binds: name
SELECT since FROM diptych.pause WHERE name = $1;

-- name: pause
-- purpose: remember that a view is paused
-- binds: name, since
INSERT INTO diptych.pause (name, since) VALUES ($1, $2);

-- name: resume
-- purpose: forget that a view is paused
-- binds: name
DELETE FROM diptych.pause WHERE name = $1;

-- name: hold
-- purpose: refuse the commits of all generations of a view, or take them again
-- binds: name, whether to refuse them
UPDATE diptych.generation SET paused = $2 WHERE name = $1;

-- name: wake
-- purpose: have everyone look again who waits for a view
-- binds: name
SELECT pg_notify('diptych', 'wake ' || $1);
