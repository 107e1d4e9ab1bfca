-- The statements about views as such. Those about a view's rows are made from its shape, in `rows.py` and `select.py`.

-- Generations

-- name: answering
-- purpose: the live generation of a fingerprint and the one that is filled, a row for each segment; the plus keeps to the
-- table, which is in memory sooner than an index is
-- binds: name, fingerprint
SELECT generation, fingerprint, log_id, state, segments, since, reason,
    segment, epoch, position, event_id, owner, parked, failure
FROM diptych_generation JOIN diptych_segment USING (name, generation) LEFT JOIN diptych_pause USING (name)
WHERE name = ? AND +fingerprint = ? AND state <> 'kept' ORDER BY generation, segment;

-- name: generations
-- purpose: all generations of a view, a row for each segment
-- binds: name
SELECT generation, fingerprint, log_id, state, segments, since, reason,
    segment, epoch, position, event_id, owner, parked, failure
FROM diptych_generation JOIN diptych_segment USING (name, generation) LEFT JOIN diptych_pause USING (name)
WHERE name = ? ORDER BY generation, segment;

-- name: next_number
-- purpose: a number that no generation of a view ever had
-- binds: name
INSERT INTO diptych_view (name, newest) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET newest = newest + 1 RETURNING newest;

-- name: add
-- purpose: a generation to be filled
-- binds: name, generation, fingerprint, log_id, segments
INSERT INTO diptych_generation (name, generation, fingerprint, log_id, state, segments) VALUES (?, ?, ?, ?, 'filling', ?);

-- name: add_segment
-- purpose: a segment that is free
-- binds: name, generation, segment, epoch, position, event_id, failure
INSERT INTO diptych_segment (name, generation, segment, epoch, position, event_id, parked, failure)
VALUES (?, ?, ?, ?, ?, ?, 0, ?);

-- name: remove
-- purpose: forget a generation
-- binds: name, generation
DELETE FROM diptych_generation WHERE name = ? AND generation = ?;

-- name: remove_segments
-- purpose: forget the segments of a generation
-- binds: name, generation
DELETE FROM diptych_segment WHERE name = ? AND generation = ?;

-- name: remove_letters
-- purpose: forget the letters of a generation
-- binds: name, generation
DELETE FROM diptych_letter WHERE name = ? AND generation = ?;

-- name: set_state
-- purpose: what a generation is for from now on
-- binds: state, name, generation
UPDATE diptych_generation SET state = ? WHERE name = ? AND generation = ?;

-- name: set_segments
-- purpose: into how many segments a generation is divided from now on
-- binds: segments, name, generation
UPDATE diptych_generation SET segments = ? WHERE name = ? AND generation = ?;

-- name: shown
-- purpose: the generation that the SQL view of a view's name shows
-- binds: name
SELECT shown FROM diptych_view WHERE name = ?;

-- name: set_shown
-- purpose: remember what is shown
-- binds: generation, name
UPDATE diptych_view SET shown = ? WHERE name = ?;

-- name: dropped
-- purpose: a table of a generation that was dropped
SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'dropped_*' LIMIT 1;

-- name: tables
-- purpose: the tables of a generation: that of its rows, or those of a projection's own, whose names come behind a `$`
-- binds: the name of the first
SELECT name FROM sqlite_schema WHERE type = 'table' AND (name = ?1 OR name GLOB ?1 || '$*');

-- name: indexes
-- purpose: an index of a table
-- binds: table
SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL LIMIT 1;

-- name: keys
-- purpose: the key of a table
-- binds: table
SELECT name FROM pragma_table_info(?) WHERE pk ORDER BY pk;

-- Checkpoints

-- name: advance
-- purpose: move a checkpoint, if it is where its projector left it and the view is not paused; gives whether it is live
-- binds: new position, new event_id, name, generation, segment, epoch, old position
UPDATE diptych_segment SET position = ?, event_id = ?, failure = NULL
WHERE name = ? AND generation = ? AND segment = ? AND epoch = ? AND position = ?
    AND NOT EXISTS (SELECT 1 FROM diptych_pause WHERE diptych_pause.name = diptych_segment.name)
RETURNING (SELECT state = 'live' FROM diptych_generation
    WHERE diptych_generation.name = diptych_segment.name AND diptych_generation.generation = diptych_segment.generation);

-- name: lowest
-- purpose: up to where all segments of a generation are
-- binds: name, generation
SELECT min(position) FROM diptych_segment WHERE name = ? AND generation = ?;

-- name: fail
-- purpose: keep why a segment does not go on
-- binds: failure (JSON), name, generation, segment, epoch, position
UPDATE diptych_segment SET failure = ? WHERE name = ? AND generation = ? AND segment = ? AND epoch = ? AND position = ?;

-- name: fence
-- purpose: the next epoch, if it is still the one that is known, and the position too if it matters
-- binds: name, generation, segment, epoch, position or NULL
UPDATE diptych_segment SET epoch = epoch + 1
WHERE name = ? AND generation = ? AND segment = ? AND epoch = ? AND position = coalesce(?, position)
RETURNING epoch;

-- Leases

-- name: beat
-- purpose: make a worker known, or have its beat grow
-- binds: id, fingerprints (JSON array)
INSERT INTO diptych_worker (id, beat, fingerprints) VALUES (?, 1, ?)
ON CONFLICT (id) DO UPDATE SET beat = beat + 1, fingerprints = excluded.fingerprints;

-- name: workers
-- purpose: all workers
SELECT id, fingerprints, beat FROM diptych_worker ORDER BY id;

-- name: expel
-- purpose: forget a worker that has not beaten since
-- binds: id, beat
DELETE FROM diptych_worker WHERE id = ? AND beat = ? RETURNING id;

-- name: leave
-- purpose: forget a worker
-- binds: id
DELETE FROM diptych_worker WHERE id = ?;

-- name: free
-- purpose: free all segments of a worker
-- binds: id
UPDATE diptych_segment SET owner = NULL, epoch = epoch + 1 WHERE owner = ?;

-- name: take
-- purpose: give a free segment to a known worker
-- binds: owner, name, generation, segment, epoch, owner again
UPDATE diptych_segment SET owner = ?, epoch = epoch + 1
WHERE name = ? AND generation = ? AND segment = ? AND epoch = ? AND owner IS NULL
    AND EXISTS (SELECT 1 FROM diptych_worker WHERE id = ?)
RETURNING segment, epoch, position, event_id, owner, parked, failure;

-- name: release
-- purpose: free a segment
-- binds: name, generation, segment, epoch
UPDATE diptych_segment SET owner = NULL, epoch = epoch + 1
WHERE name = ? AND generation = ? AND segment = ? AND epoch = ?;

-- Dead letters

-- name: park
-- purpose: keep a letter
-- binds: name, generation, segment, key, stream, position, type, parked_at, cause
INSERT INTO diptych_letter (name, generation, segment, key, stream, position, type, parked_at, cause)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: is_held
-- purpose: whether a segment has letters of a hold
-- binds: name, generation, segment, key, stream
SELECT 1 FROM diptych_letter WHERE name = ? AND generation = ? AND segment = ? AND key = ? AND stream = ? LIMIT 1;

-- name: count_parked
-- purpose: so many holds more
-- binds: holds, name, generation, segment
UPDATE diptych_segment SET parked = parked + ? WHERE name = ? AND generation = ? AND segment = ? RETURNING parked;

-- name: holds
-- purpose: what a segment holds back
-- binds: name, generation, segment
SELECT DISTINCT key, stream FROM diptych_letter WHERE name = ? AND generation = ? AND segment = ?;

-- name: letters
-- purpose: letters of a generation in order, and with the last one all of its event
-- binds: name, generation, after, limit
SELECT segment, key, stream, position, type, parked_at, cause FROM diptych_letter
WHERE name = ?1 AND generation = ?2 AND position > ?3 AND position <= (
    SELECT max(position) FROM (
        SELECT position FROM diptych_letter WHERE name = ?1 AND generation = ?2 AND position > ?3 ORDER BY position LIMIT ?4
    )
)
ORDER BY position, segment, key, stream;

-- name: letters_of
-- purpose: letters of a hold in order, and with the last one all of its event
-- binds: name, generation, after, limit, key, stream
SELECT segment, key, stream, position, type, parked_at, cause FROM diptych_letter INDEXED BY diptych_letter_key
WHERE name = ?1 AND generation = ?2 AND key = ?5 AND stream = ?6 AND position > ?3 AND position <= (
    SELECT max(position) FROM (
        SELECT position FROM diptych_letter INDEXED BY diptych_letter_key
        WHERE name = ?1 AND generation = ?2 AND key = ?5 AND stream = ?6 AND position > ?3 ORDER BY position LIMIT ?4
    )
)
ORDER BY position, segment;

-- name: first_letter
-- purpose: the first letter of a generation up to a position
-- binds: name, generation, upto
SELECT segment, key, stream, position, type, parked_at, cause FROM diptych_letter
WHERE name = ? AND generation = ? AND position <= ? ORDER BY position LIMIT 1;

-- name: first_letter_of
-- purpose: the first letter of some keys up to a position; the empty key stands for all streams
-- binds: name, generation, upto, keys (JSON array)
SELECT letter.segment, letter.key, letter.stream, letter.position, letter.type, letter.parked_at, letter.cause
FROM json_each(CAST(?4 AS TEXT)) AS wanted CROSS JOIN diptych_letter AS letter INDEXED BY diptych_letter_key
    ON letter.name = ?1 AND letter.generation = ?2 AND letter.key = wanted.value AND letter.position = (
        SELECT min(first.position) FROM diptych_letter AS first
        WHERE first.name = ?1 AND first.generation = ?2 AND first.key = wanted.value
    )
WHERE +letter.position <= ?3 ORDER BY letter.position LIMIT 1;

-- name: dead_letters
-- purpose: how many letters a generation has after a position and up to another
-- binds: name, generation, after, upto
SELECT count(*) FROM diptych_letter WHERE name = ? AND generation = ? AND position > ? AND position <= ?;

-- name: held_back
-- purpose: every hold of a generation with its number of events and its first letter, which is the row of the one min()
-- binds: name, generation, limit
SELECT count(DISTINCT position), segment, key, stream, min(position), type, parked_at, cause FROM diptych_letter
WHERE name = ? AND generation = ? GROUP BY key, stream ORDER BY min(position), key, stream LIMIT ?;

-- name: forget
-- purpose: the letters of a hold up to a position are settled
-- binds: name, generation, segment, key, stream, upto
DELETE FROM diptych_letter
WHERE name = ? AND generation = ? AND segment = ? AND key = ? AND stream = ? AND position <= ?;

-- name: skip
-- purpose: remember what is passed over
-- binds: name, key, stream, position, because, at
INSERT OR REPLACE INTO diptych_skip (name, key, stream, position, because, at) VALUES (?, ?, ?, ?, ?, ?);

-- name: skips
-- purpose: what is passed over in a view
-- binds: name
SELECT key, stream, position, because, at FROM diptych_skip WHERE name = ? ORDER BY position, key, stream;

-- name: parked_keys
-- purpose: the keys that a generation holds back
-- binds: name, generation
SELECT DISTINCT key FROM diptych_letter WHERE name = ? AND generation = ? AND key <> '';

-- name: assign
-- purpose: the letters of a key belong to another segment
-- binds: segment, name, generation, key
UPDATE diptych_letter SET segment = ? WHERE name = ? AND generation = ? AND key = ?;

-- name: copy_streams
-- purpose: every letter that holds a stream stands in a segment
-- binds: name, generation, segment
INSERT OR IGNORE INTO diptych_letter (name, generation, segment, key, stream, position, type, parked_at, cause)
SELECT name, generation, ?3, key, stream, position, type, parked_at, cause FROM diptych_letter
WHERE name = ?1 AND generation = ?2 AND key = '';

-- name: cut_streams
-- purpose: no letter that holds a stream stands in a segment that is no more
-- binds: name, generation, segments
DELETE FROM diptych_letter WHERE name = ? AND generation = ? AND key = '' AND segment >= ?;

-- name: copy_letters
-- purpose: the letters of a generation up to a position are those of another, too
-- binds: name, generation, other generation, upto
INSERT INTO diptych_letter (name, generation, segment, key, stream, position, type, parked_at, cause)
SELECT name, ?3, segment, key, stream, position, type, parked_at, cause FROM diptych_letter
WHERE name = ?1 AND generation = ?2 AND position <= ?4;

-- name: recount
-- purpose: how much each segment of a generation holds back
-- binds: name, generation
UPDATE diptych_segment SET parked = (
    SELECT count(*) FROM (
        SELECT DISTINCT key, stream FROM diptych_letter AS letter
        WHERE letter.name = diptych_segment.name AND letter.generation = diptych_segment.generation
            AND letter.segment = diptych_segment.segment
    )
) WHERE name = ? AND generation = ?;

-- The pause

-- name: paused
-- purpose: since when a view is paused, and why
-- binds: name
SELECT since, reason FROM diptych_pause WHERE name = ?;

-- name: pause
-- purpose: let no checkpoint of a view move
-- binds: name, since, reason
INSERT INTO diptych_pause (name, since, reason) VALUES (?, ?, ?);

-- name: resume
-- purpose: let a view's checkpoints move again
-- binds: name
DELETE FROM diptych_pause WHERE name = ?;

-- name: in_step
-- purpose: the views that every append brings forward, only in the log's file
SELECT name, fingerprint FROM diptych_in_step;

-- name: join
-- purpose: have every append bring a view forward, by code of this fingerprint
-- binds: name, fingerprint
INSERT OR REPLACE INTO diptych_in_step (name, fingerprint) VALUES (?, ?);

-- name: part
-- purpose: have no append bring a view forward any more
-- binds: name
DELETE FROM diptych_in_step WHERE name = ? RETURNING name;
