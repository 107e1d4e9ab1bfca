-- The statements about views as such: their generations, the segments of these, and the pause. Those about workers and dead
-- letters stand in `leases.sql` and `letters.sql`; those about a view's rows are made from its shape, in `rows.py`,
-- `writing.py` and `select.py`. Bind variables are given by position, in the order in which `binds` names them.

-- name: live
-- purpose: the generation of a view that answers code of one fingerprint, with a row for each segment, in no order; every
-- query asks for it, so it looks at nothing that it does not need
-- binds: name, fingerprint
SELECT generation, fingerprint, log_id, state, CASE WHEN paused THEN (SELECT pause FROM diptych.view WHERE name = $1) END,
    segment, epoch, position, event_id, owner, parked, failure
FROM diptych.generation JOIN diptych.segment USING (name, generation)
WHERE name = $1 AND fingerprint = $2 AND state = 'live';

-- name: generations
-- purpose: all generations of a view, with a row for each segment
-- binds: name
SELECT generation, fingerprint, log_id, state, pause, segment, epoch, position, event_id, owner, parked, failure
FROM diptych.generation JOIN diptych.segment USING (name, generation) JOIN diptych.view USING (name)
WHERE name = $1 ORDER BY generation, segment;

-- name: exists
-- purpose: whether a generation is still there; its table may be there for longer
-- binds: name, generation
SELECT EXISTS (SELECT FROM diptych.generation WHERE name = $1 AND generation = $2);

-- name: take_turn
-- purpose: keep others from changing the generations of the same view in this transaction
-- binds: name
SELECT pg_advisory_xact_lock(1146115158, hashtext('diptych' || ' ' || $1));

-- name: complete_turn
-- purpose: keep others from making the indexes of the same generation in this transaction, and from nothing else
-- binds: name, generation
SELECT pg_advisory_xact_lock(1146115145, hashtext('diptych' || ' ' || $1 || ' ' || $2::bigint));

-- name: stop
-- purpose: keep every segment of a view where it is in this transaction, in an order in which no two wait for each other
-- binds: name
SELECT FROM diptych.segment WHERE name = $1 ORDER BY generation, segment FOR UPDATE;

-- name: tables
-- purpose: the tables of a view's generations, and perhaps others whose names begin so
-- binds: schema of the views, beginning of the name
SELECT tablename FROM pg_tables WHERE schemaname = $1 AND starts_with(tablename, $2);

-- name: columns
-- purpose: the columns of a generation's table, in order
-- binds: the table's name with its schema
SELECT attname FROM pg_attribute
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum;

-- name: next_number
-- purpose: a number that no generation of the view ever had
-- binds: name, the highest number of a table that is there
INSERT INTO diptych.view (name, generations) VALUES ($1, $2::bigint + 1)
ON CONFLICT (name) DO UPDATE SET generations = greatest(view.generations, $2::bigint) + 1
RETURNING generations;

-- name: add
-- purpose: a generation to be filled
-- binds: name, generation, fingerprint, log_id
INSERT INTO diptych.generation (name, generation, fingerprint, log_id, state) VALUES ($1, $2, $3, $4, 'filling');

-- name: divide
-- purpose: the segments of a generation that has none, all at one place
-- binds: name, generation, how many, epoch, position, event_id, failure (JSON) or NULL
INSERT INTO diptych.segment (name, generation, segment, epoch, position, event_id, failure, live, paused)
SELECT name, generation, number, $4::bigint, $5::bigint, $6::bytea, $7::bytea, state = 'live', pause IS NOT NULL
FROM diptych.generation JOIN diptych.view USING (name) CROSS JOIN generate_series(0, $3::integer - 1) AS number
WHERE name = $1 AND generation = $2;

-- name: unite
-- purpose: forget the segments of a generation
-- binds: name, generation
DELETE FROM diptych.segment WHERE name = $1 AND generation = $2;

-- name: stop_one
-- purpose: keep every segment of a generation where it is in this transaction
-- binds: name, generation
SELECT FROM diptych.segment WHERE name = $1 AND generation = $2 ORDER BY segment FOR UPDATE;

-- name: remove
-- purpose: forget a generation, and with it its segments and letters
-- binds: name, generation
DELETE FROM diptych.generation WHERE name = $1 AND generation = $2;

-- name: change_state
-- purpose: let a generation answer, or keep one that did
-- binds: name, generation, state
WITH changed AS (UPDATE diptych.generation SET state = $3::text WHERE name = $1 AND generation = $2)
UPDATE diptych.segment SET live = $3::text = 'live' WHERE name = $1 AND generation = $2;

-- name: shown
-- purpose: the generation that the SQL view of the view's own name shows
-- binds: name
SELECT shown FROM diptych.view WHERE name = $1;

-- name: note_shown
-- purpose: remember which generation the SQL view shows
-- binds: name, generation, or NULL for none
UPDATE diptych.view SET shown = $2 WHERE name = $1;

-- name: advance
-- purpose: move a segment, if it is where its projector left it and the view is not paused; a part of the statement that
-- writes the rows; gives whether the generation is live, and rings its bell if this is its only segment
-- binds: new position, new event_id, name, generation, segment, old position, epoch, bell, or NULL to ring none
UPDATE diptych.segment SET position = $1, event_id = $2, failure = NULL
WHERE name = $3 AND generation = $4 AND segment = $5 AND position = $6 AND epoch = $7 AND NOT paused
RETURNING live,
    CASE WHEN live AND $8::text IS NOT NULL THEN pg_notify('diptych', 'view ' || position || ' ' || $8)::text END;

-- name: write_alone
-- purpose: keep others from writing the tables of the same generation in this transaction, which waits for locks, works on a
-- statement and stands idle in between for so long and no longer
-- binds: name, generation, longest wait, longest statement or idle time (milliseconds, as text)
SELECT set_config('lock_timeout', $3, true), set_config('statement_timeout', $4, true),
    set_config('idle_in_transaction_session_timeout', $4, true),
    pg_advisory_xact_lock(1146115159, hashtext($1 || ' ' || $2::bigint));

-- name: ring
-- purpose: say up to where all segments of a live generation are, if that has changed with one that was at a position
-- binds: name, generation, position, bell
SELECT lowest, pg_notify('diptych', 'view ' || lowest || ' ' || $4::text)::text
FROM (SELECT min(position) AS lowest FROM diptych.segment WHERE name = $1 AND generation = $2) AS segments
WHERE lowest > $3;

-- name: fail
-- purpose: keep why a segment does not go on, and have everyone look again who waits for the view
-- binds: failure (JSON), name, generation, segment, position, epoch
UPDATE diptych.segment SET failure = $1
WHERE name = $2 AND generation = $3 AND segment = $4 AND position = $5 AND epoch = $6
RETURNING pg_notify('diptych', 'wake ' || name)::text;

-- name: paused
-- purpose: since when a view is paused, and why
-- binds: name
SELECT pause FROM diptych.view WHERE name = $1;

-- name: pause
-- purpose: remember that a view is paused
-- binds: name, pause (JSON)
INSERT INTO diptych.view (name, pause) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET pause = excluded.pause;

-- name: resume
-- purpose: forget that a view is paused
-- binds: name
UPDATE diptych.view SET pause = NULL WHERE name = $1;

-- name: hold
-- purpose: refuse the commits of all segments of a view, or take them again
-- binds: name, whether to refuse them
UPDATE diptych.segment SET paused = $2 WHERE name = $1;

-- name: wake
-- purpose: have everyone look again who waits for a view
-- binds: name
SELECT pg_notify('diptych', 'wake ' || $1);

-- name: in_step
-- purpose: the views that every append brings forward
SELECT name, fingerprint FROM diptych.in_step;

-- name: stop_appends
-- purpose: keep everybody from appending in this transaction
SELECT pg_advisory_xact_lock(1146115161, 'diptych.event'::regclass::oid::bigint::bit(32)::integer);

-- name: join
-- purpose: have every append bring a view forward, by code of this fingerprint
-- binds: name, fingerprint
INSERT INTO diptych.in_step (name, fingerprint) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET fingerprint = excluded.fingerprint;

-- name: part
-- purpose: have no append bring a view forward any more
-- binds: name
DELETE FROM diptych.in_step WHERE name = $1 RETURNING name;

-- name: hold_in_step
-- purpose: of the views that the caller keeps in step, the segments that are live, and those that are filled to be and
-- are near; nothing moves them until the transaction ends. Whether one is live or paused is asked of the segment itself,
-- which is read anew after a wait for its lock
-- binds: names, fingerprints, the first position that is near
SELECT segment.name, generation, segment.live, segment.paused, log_id, segment,
    (SELECT count(*)::integer FROM diptych.segment AS every
    WHERE every.name = segment.name AND every.generation = segment.generation) AS segments,
    epoch, position, event_id, owner, parked, failure
FROM unnest($1::text[], $2::text[]) AS followed (name, fingerprint)
JOIN diptych.in_step USING (name, fingerprint)
JOIN diptych.generation USING (name, fingerprint)
JOIN diptych.segment USING (name, generation)
WHERE generation.state <> 'kept' AND (segment.live OR segment.position >= $3)
ORDER BY segment.name, generation, segment FOR UPDATE OF segment;
