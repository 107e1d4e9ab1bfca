-- The snapshots' statements. Bind variables are given by position, in the order in which `binds` names them.

-- name: restore
-- purpose: the snapshot of a stream, if it has the shape and the log has the event that it ends with, and the events after
-- it, in order; a snapshot's row has its version and event id
-- binds: stream, shape
WITH kept AS MATERIALIZED (
    SELECT snapshot.position, snapshot.version, snapshot.event_id, snapshot.data
    FROM diptych.snapshot JOIN diptych.event
        ON event.position = snapshot.position AND event.event_id = snapshot.event_id
    WHERE snapshot.stream = $1 AND snapshot.shape = $2
)
SELECT position, NULL AS stream, NULL AS type, NULL AS schema, data, version, event_id FROM kept
UNION ALL (
    SELECT position, stream, type, schema, data, NULL, NULL FROM diptych.event
    WHERE stream = $1 AND version > coalesce((SELECT version FROM kept), 0) ORDER BY version
);

-- name: restore_many
-- purpose: the same of several streams, with the number of the stream in the arrays
-- binds: streams, shapes
SELECT found.position, found.stream, found.type, found.schema, found.data, found.version, found.event_id, wanted.number
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (stream, shape, number)
LEFT JOIN LATERAL (
    SELECT snapshot.position, snapshot.version, snapshot.event_id, snapshot.data
    FROM diptych.snapshot JOIN diptych.event
        ON event.position = snapshot.position AND event.event_id = snapshot.event_id
    WHERE snapshot.stream = wanted.stream AND snapshot.shape = wanted.shape
) AS kept ON true
CROSS JOIN LATERAL (
    SELECT kept.position, NULL AS stream, NULL AS type, NULL AS schema, kept.data, kept.version, kept.event_id
    WHERE kept.version IS NOT NULL
    UNION ALL (
        SELECT position, stream, type, schema, data, NULL, NULL FROM diptych.event
        WHERE stream = wanted.stream AND version > coalesce(kept.version, 0) ORDER BY version
    )
) AS found;

-- name: keep
-- purpose: keep a snapshot in the place of whatever there is of its stream
-- binds: stream, version, position, event_id, shape, data
INSERT INTO diptych.snapshot (stream, version, position, event_id, shape, data) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (stream) DO UPDATE SET version = excluded.version, position = excluded.position,
    event_id = excluded.event_id, shape = excluded.shape, data = excluded.data;

-- name: delete
-- purpose: delete the snapshots of the streams between two names, and count them
-- binds: first, end
WITH deleted AS (DELETE FROM diptych.snapshot WHERE stream >= $1 AND stream < $2 RETURNING 1)
SELECT count(*) FROM deleted;
