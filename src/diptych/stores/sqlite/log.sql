-- The log's statements. Bind variables are given by position, in the order in which `binds` names them.

-- name: log_id
-- purpose: what tells this log from every other
SELECT log_id FROM log;

-- name: context
-- purpose: the bounded context that the log belongs to, NULL for none yet
SELECT context FROM log;

-- name: claim
-- purpose: let the log belong to a bounded context, if it belongs to none
-- binds: context
UPDATE log SET context = ? WHERE context IS NULL;

-- name: head
-- purpose: the newest event
SELECT position, event_id, recorded_at FROM event ORDER BY position DESC LIMIT 1;

-- name: version
-- purpose: the version of one stream, NULL for none
-- binds: stream
SELECT max(version) FROM event WHERE stream = ?;

-- name: outcome
-- purpose: the outcome of a command id that was accepted before
-- binds: command id
SELECT command_id, fingerprint, position, stream, version, events FROM ledger WHERE command_id = ?;

-- name: versions
-- purpose: the version of each stream of a group that exists
-- binds: streams (JSON array)
SELECT wanted.value, (SELECT max(version) FROM event WHERE stream = wanted.value)
FROM json_each(CAST(? AS TEXT)) AS wanted;

-- name: outcomes
-- purpose: the outcome of each command id of a group that was accepted before
-- binds: command ids (JSON array)
SELECT command_id, fingerprint, position, stream, version, events
FROM json_each(CAST(? AS TEXT)) AS wanted JOIN ledger ON ledger.command_id = wanted.value;

-- name: types_between
-- purpose: the types of one commit's events, for its outcome
-- binds: first position, last position
SELECT type FROM event WHERE position BETWEEN ? AND ? ORDER BY position;

-- name: append_event
-- purpose: keep an event
-- binds: position, stream, version, type, schema, event_id, recorded_at, tags, data, metadata
INSERT INTO event (position, stream, version, type, schema, event_id, recorded_at, tags, data, metadata)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: append_tag
-- purpose: keep one tag of an event
-- binds: tag, position, type
INSERT OR IGNORE INTO event_tag (tag, position, type) VALUES (?, ?, ?);

-- name: append_kind
-- purpose: remember that there are events of this type and schema, from the first one on
-- binds: type, schema, position
INSERT OR IGNORE INTO event_kind (type, schema, position) VALUES (?, ?, ?);

-- name: kinds
-- purpose: every type and schema that there are events of
SELECT type, schema, position FROM event_kind ORDER BY type, schema;

-- name: append_outcome
-- purpose: keep a command's id and outcome
-- binds: command_id, fingerprint, position, events, stream, version, recorded_at
INSERT INTO ledger (command_id, fingerprint, position, events, stream, version, recorded_at)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: newest_by_tags
-- purpose: the newest event after a position that has all of the tags and, if any are given, one of the types
-- binds: tags (JSON array), after, types (JSON array), types again, number of tags
SELECT max(position) FROM (
    SELECT position FROM event_tag
    WHERE tag IN (SELECT value FROM json_each(CAST(? AS TEXT))) AND position > ?
      AND (json_array_length(CAST(? AS TEXT)) = 0 OR type IN (SELECT value FROM json_each(CAST(? AS TEXT))))
    GROUP BY position HAVING count(*) = ?
);

-- name: newest_by_types
-- purpose: the newest event after a position that has one of the types
-- binds: types (JSON array), after
SELECT max(newest) FROM (
    SELECT (SELECT max(position) FROM event WHERE type = wanted.value AND position > ?2) AS newest
    FROM json_each(CAST(?1 AS TEXT)) AS wanted
);

-- name: select_by_tags
-- purpose: every event that has all of the tags and, if any are given, one of the types
-- binds: tags (JSON array), types (JSON array), types again, number of tags
SELECT event.position, event.stream, event.type, event.schema, event.data FROM (
    SELECT position FROM event_tag
    WHERE tag IN (SELECT value FROM json_each(CAST(? AS TEXT)))
      AND (json_array_length(CAST(? AS TEXT)) = 0 OR type IN (SELECT value FROM json_each(CAST(? AS TEXT))))
    GROUP BY position HAVING count(*) = ?
) AS found JOIN event ON event.position = found.position;

-- name: select_by_types
-- purpose: every event that has one of the types
-- binds: types (JSON array)
SELECT event.position, event.stream, event.type, event.schema, event.data
FROM json_each(CAST(? AS TEXT)) AS wanted JOIN event ON event.type = wanted.value;

-- name: select_all
-- purpose: every event
SELECT position, stream, type, schema, data FROM event ORDER BY position;

-- name: load
-- purpose: one stream after a version, in order
-- binds: stream, version
SELECT position, stream, type, schema, data, version FROM event WHERE stream = ? AND version > ? ORDER BY version;

-- name: read
-- purpose: a page of the log
-- binds: after, limit
SELECT position, stream, type, schema, data FROM event WHERE position > ? ORDER BY position LIMIT ?;

-- name: read_types
-- purpose: a page of the log's events of some types
-- binds: after, last position to look at, types (JSON array), limit
SELECT position, stream, type, schema, data FROM event
WHERE position > ? AND position <= ? AND +type IN (SELECT value FROM json_each(CAST(? AS TEXT)))
ORDER BY position LIMIT ?;

-- name: read_records
-- purpose: a page of the log, whole records
-- binds: after, limit
SELECT position, stream, version, type, schema, event_id, recorded_at, tags, data, metadata FROM event
WHERE position > ? ORDER BY position LIMIT ?;

-- name: read_records_types
-- purpose: a page of the log's events of some types, whole records
-- binds: after, last position to look at, types (JSON array), limit
SELECT position, stream, version, type, schema, event_id, recorded_at, tags, data, metadata FROM event
WHERE position > ? AND position <= ? AND +type IN (SELECT value FROM json_each(CAST(? AS TEXT)))
ORDER BY position LIMIT ?;

-- name: event_at
-- purpose: what identifies and dates the event at a position
-- binds: position
SELECT position, event_id, recorded_at FROM event WHERE position = ?;
