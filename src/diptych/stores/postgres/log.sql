-- The log's statements on their way out, and what each connection asks first. Bind variables are given by position, in
-- the order in which `binds` names them. All files here name the default schema, `diptych`; another one takes its place.

-- name: log_id
-- purpose: what tells this log from every other
SELECT log_id FROM diptych.log;

-- name: context
-- purpose: the bounded context that the log belongs to, NULL for none yet
SELECT context FROM diptych.log;

-- name: claim
-- purpose: let the log belong to a bounded context, if it belongs to none
-- binds: context
UPDATE diptych.log SET context = $1 WHERE context IS NULL;

-- name: append_group
-- purpose: appends of a group; what they mean, and what comes back, stands in functions.sql
SELECT kinds, positions, versions
FROM diptych.append_group($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24);

-- name: append_one
-- purpose: the append of a group of one, with one event and without a boundary
SELECT kind, position, version FROM diptych.append_one($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: append_batch
-- purpose: a batch of events of many streams
SELECT kind, position, stream_no, version
FROM diptych.append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16);

-- name: kinds
-- purpose: every type and schema that there are events of
SELECT type, schema, position FROM diptych.event_kind ORDER BY type, schema;

-- name: head
-- purpose: the newest event
SELECT position, event_id, recorded_at FROM diptych.event ORDER BY position DESC LIMIT 1;

-- name: outcomes
-- purpose: the outcome of each command id that was accepted before
-- binds: command ids
SELECT command_id, fingerprint, position, stream, version, events,
    CASE WHEN events > 0 THEN ARRAY(
        SELECT type FROM diptych.event
        WHERE event.position > ledger.position - ledger.events AND event.position <= ledger.position
        ORDER BY event.position
    ) END AS types
FROM diptych.ledger WHERE command_id = ANY ($1);

-- name: load
-- purpose: one stream over a version, in order
-- binds: stream, version
SELECT position, stream, type, schema, data FROM diptych.event WHERE stream = $1 AND version > $2 ORDER BY version;

-- name: load_many
-- purpose: several streams, each over a version and in order, with the number of the stream in the arrays
-- binds: streams, versions
SELECT found.position, found.stream, found.type, found.schema, found.data, wanted.number
FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS wanted (stream, after, number) CROSS JOIN LATERAL (
    SELECT position, stream, type, schema, data FROM diptych.event
    WHERE stream = wanted.stream AND version > wanted.after ORDER BY version
) AS found;

-- name: select_by_tags
-- purpose: every event that has all of the tags and, if any are given, one of the types
-- binds: tags, types
SELECT event.position, event.stream, event.type, event.schema, event.data FROM (
    SELECT position FROM diptych.event_tag
    WHERE tag = ANY ($1) AND (cardinality($2::text[]) = 0 OR type = ANY ($2))
    GROUP BY position HAVING count(*) = cardinality($1::text[])
) AS found JOIN diptych.event ON event.position = found.position;

-- name: select_by_types
-- purpose: every event that has one of the types
-- binds: types
SELECT position, stream, type, schema, data FROM diptych.event WHERE type = ANY ($1);

-- name: select_all
-- purpose: every event
SELECT position, stream, type, schema, data FROM diptych.event;

-- name: read
-- purpose: a page of the log, and first of all the event that it is read after, if there is one
-- binds: after, limit
SELECT position, stream, type, schema, data, event_id FROM diptych.event
WHERE position >= $1 ORDER BY position LIMIT $2 + least($1, 1);

-- name: read_types
-- purpose: a page of the log's events of some types, the event that it is read after, and the last that was looked at,
-- of whatever types; the inner limit keeps the planner from gathering all events of the types first
-- binds: after, limit, types, number of events to look at
SELECT position, stream, type, schema, data, event_id FROM (
    SELECT * FROM diptych.event WHERE position >= $1 ORDER BY position LIMIT $4 + least($1, 1)
) AS looked_at
WHERE type = ANY ($3) OR position IN ($1, least($1 + $4, (SELECT max(position) FROM diptych.event)))
ORDER BY position LIMIT $2 + least($1, 1);

-- name: read_records
-- purpose: a page of the log, and the event that it is read after; whole records
-- binds: after, limit
SELECT position, stream, version, type, schema, event_id, recorded_at, tags, data, metadata FROM diptych.event
WHERE position >= $1 ORDER BY position LIMIT $2 + least($1, 1);

-- name: read_records_types
-- purpose: a page of the log's events of some types, the event that it is read after, and the last that was looked at;
-- whole records
-- binds: after, limit, types, number of events to look at
SELECT position, stream, version, type, schema, event_id, recorded_at, tags, data, metadata FROM (
    SELECT * FROM diptych.event WHERE position >= $1 ORDER BY position LIMIT $4 + least($1, 1)
) AS looked_at
WHERE type = ANY ($3) OR position IN ($1, least($1 + $4, (SELECT max(position) FROM diptych.event)))
ORDER BY position LIMIT $2 + least($1, 1);

-- name: event_at
-- purpose: what identifies and dates the event at a position
-- binds: position
SELECT position, event_id, recorded_at FROM diptych.event WHERE position = $1;

-- name: last_upto
-- purpose: the last event up to a position
-- binds: position
SELECT position, event_id FROM diptych.event WHERE position <= $1 ORDER BY position DESC LIMIT 1;

-- name: blockers
-- purpose: the session that has held the log's lock for longest, or a lock on a table that keeps others from writing to it
SELECT activity.pid, activity.application_name, activity.usename, activity.state,
    extract(epoch FROM clock_timestamp() - activity.xact_start)::float8 AS age
FROM pg_locks JOIN pg_stat_activity AS activity ON activity.pid = pg_locks.pid
WHERE pg_locks.granted AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (
    (locktype = 'advisory' AND classid = 1146115161 AND objid = 'diptych.event'::regclass::oid)
    OR (
        locktype = 'relation' AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
        AND relation IN ('diptych.event'::regclass, 'diptych.event_tag'::regclass, 'diptych.ledger'::regclass)
    )
  )
ORDER BY activity.xact_start NULLS LAST LIMIT 1;

-- name: myself
-- purpose: which session this is, and whether each of its statements sees what was committed before it
SELECT pid, backend_start, current_setting('transaction_isolation') = 'read committed' AS fresh FROM pg_stat_activity WHERE pid = pg_backend_pid();

-- name: end_session
-- purpose: end a session that was lost and may still be at work, if it is still the same one, and wait for its end
-- binds: pid, backend_start, milliseconds
SELECT pg_terminate_backend(pid, $3) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2;

-- name: notify
-- purpose: a word to every listener
-- binds: word
SELECT pg_notify('diptych', $1);
