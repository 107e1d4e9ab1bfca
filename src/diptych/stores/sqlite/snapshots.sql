-- The snapshots' statements. Bind variables are given by position, in the order in which `binds` names them.

-- name: snapshot
-- purpose: the snapshot of a stream, if it has this shape
-- binds: stream, shape
SELECT version, position, event_id, data FROM snapshot WHERE stream = ? AND shape = ?;

-- name: keep
-- purpose: keep a snapshot in the place of whatever there is of its stream
-- binds: stream, version, position, event_id, shape, data
INSERT OR REPLACE INTO snapshot (stream, version, position, event_id, shape, data) VALUES (?, ?, ?, ?, ?, ?);

-- name: delete
-- purpose: delete the snapshots of the streams between two names
-- binds: first, end
DELETE FROM snapshot WHERE stream >= ? AND stream < ?;
