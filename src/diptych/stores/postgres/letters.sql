-- The statements about dead letters, and about the events that operators have had passed over. A hold is a key's text, and
-- the stream empty, or the key empty, and a stream. Bind variables are given by position, in the order in which `binds`
-- names them.

-- name: park
-- purpose: park letters in a segment, and count what is held back there then; whoever does it has moved the segment before
-- binds: name, generation, segment, keys, streams, positions, types, when they are parked, causes (JSON)
WITH added AS (
    SELECT * FROM unnest($4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::bytea[])
        AS added (key, stream, position, type, parked_at, cause)
), parked AS (
    INSERT INTO diptych.letter (name, generation, segment, key, stream, position, type, parked_at, cause)
    SELECT $1::text, $2::bigint, $3::integer, key, stream, position, type, parked_at, cause FROM added
)
UPDATE diptych.segment SET parked = parked + (
    SELECT count(*) FROM (SELECT DISTINCT key, stream FROM added) AS hold WHERE NOT EXISTS (
        SELECT FROM diptych.letter
        WHERE letter.name = $1 AND letter.generation = $2 AND letter.segment = $3
          AND letter.key = hold.key AND letter.stream = hold.stream
    )
)
WHERE name = $1 AND generation = $2 AND segment = $3
RETURNING parked;

-- name: holds
-- purpose: what is held back in a segment
-- binds: name, generation, segment
SELECT DISTINCT key, stream FROM diptych.letter WHERE name = $1 AND generation = $2 AND segment = $3;

-- name: held
-- purpose: the first letter of a generation up to a position
-- binds: name, generation, position
SELECT segment, key, stream, position, type, parked_at, cause FROM diptych.letter
WHERE name = $1 AND generation = $2 AND position <= $3 ORDER BY position LIMIT 1;

-- name: held_of
-- purpose: the first letter of a generation up to a position that holds back one of some keys, or a stream
-- binds: name, generation, position, keys
SELECT segment, key, stream, position, type, parked_at, cause FROM (
    SELECT * FROM diptych.letter
    WHERE name = $1 AND generation = $2 AND position <= $3 AND key = ANY ($4::text[])
    UNION ALL
    SELECT * FROM diptych.letter WHERE name = $1 AND generation = $2 AND position <= $3 AND stream <> ''
) AS letter ORDER BY position LIMIT 1;

-- name: letters
-- purpose: the letters of a generation after a position, and with the last one all of its event
-- binds: name, generation, position, limit
SELECT segment, key, stream, position, type, parked_at, cause FROM (
    SELECT * FROM diptych.letter
    WHERE name = $1 AND generation = $2 AND position > $3
    ORDER BY position FETCH FIRST $4 ROWS WITH TIES
) AS letter
ORDER BY position, segment, key, stream;

-- name: letters_of
-- purpose: the letters of a hold after a position, and with the last one all of its event
-- binds: name, generation, position, limit, key, stream
SELECT segment, key, stream, position, type, parked_at, cause FROM (
    SELECT * FROM diptych.letter
    WHERE name = $1 AND generation = $2 AND position > $3 AND key = $5 AND stream = $6
    ORDER BY position FETCH FIRST $4 ROWS WITH TIES
) AS letter
ORDER BY position, segment;

-- name: dead_letters
-- purpose: how many letters a generation has after a position and up to another, or to the end
-- binds: name, generation, after, up to, or NULL
SELECT count(*) FROM diptych.letter
WHERE name = $1 AND generation = $2 AND position > $3 AND position <= coalesce($4::bigint, position);

-- name: held_back
-- purpose: what a generation holds back, with the number of events and the first letter of each
-- binds: name, generation, limit
WITH held AS (
    SELECT key, stream, count(DISTINCT position) AS letters, min(position) AS first FROM diptych.letter
    WHERE name = $1 AND generation = $2 GROUP BY key, stream ORDER BY first, key, stream LIMIT $3
)
SELECT letters, letter.segment, letter.key, letter.stream, position, type, parked_at, cause
FROM held CROSS JOIN LATERAL (
    SELECT * FROM diptych.letter
    WHERE name = $1 AND generation = $2 AND letter.key = held.key AND letter.stream = held.stream AND position = first
    ORDER BY segment LIMIT 1
) AS letter
ORDER BY first, key, stream;

-- name: settle
-- purpose: keep whoever has a segment from going on with what it knows; a part of the statement that writes the rows of a
-- hold; gives whether the generation is live
-- binds: name, generation, segment, epoch, position, or NULL for whichever it is at
UPDATE diptych.segment SET epoch = epoch + 1
WHERE name = $1 AND generation = $2 AND segment = $3 AND epoch = $4 AND position = coalesce($5, position)
RETURNING live;

-- name: forget
-- purpose: forget the letters of a hold in a segment, up to a position
-- binds: name, generation, segment, key, stream, position
DELETE FROM diptych.letter
WHERE name = $1 AND generation = $2 AND segment = $3 AND key = $4 AND stream = $5 AND position <= $6;

-- name: recount
-- purpose: count what is held back in segments that nobody else can move now
-- binds: name, generation, segments
UPDATE diptych.segment SET parked = (
    SELECT count(DISTINCT (key, stream)) FROM diptych.letter
    WHERE letter.name = $1 AND letter.generation = $2 AND letter.segment = segment.segment
)
WHERE name = $1 AND generation = $2 AND segment = ANY ($3::integer[]);

-- name: keys
-- purpose: the keys that are held back in a generation
-- binds: name, generation
SELECT DISTINCT key FROM diptych.letter WHERE name = $1 AND generation = $2 AND key <> '';

-- name: deal
-- purpose: give the letters of keys to other segments
-- binds: name, generation, keys, the segment of each
UPDATE diptych.letter SET segment = dealt.segment
FROM unnest($3::text[], $4::integer[]) AS dealt (key, segment)
WHERE letter.name = $1 AND letter.generation = $2 AND letter.key = dealt.key;

-- name: copy_letters
-- purpose: copy the letters of a generation up to a position to another; a part of the statement that copies the rows
-- binds: name, generation, position, the other generation
INSERT INTO diptych.letter (name, generation, segment, key, stream, position, type, parked_at, cause)
SELECT name, $4::bigint, segment, key, stream, position, type, parked_at, cause FROM diptych.letter
WHERE name = $1 AND generation = $2 AND position <= $3;

-- name: spread
-- purpose: give the letters of streams to every one of so many segments
-- binds: name, generation, how many segments
WITH before AS (
    DELETE FROM diptych.letter WHERE name = $1 AND generation = $2 AND stream <> '' RETURNING *
)
INSERT INTO diptych.letter (name, generation, segment, key, stream, position, type, parked_at, cause)
SELECT name, generation, number, key, stream, position, type, parked_at, cause
FROM (SELECT DISTINCT ON (stream, position) * FROM before ORDER BY stream, position, cause) AS letter
CROSS JOIN generate_series(0, $3::integer - 1) AS number;

-- name: skip
-- purpose: remember that an event is to be passed over, as it was said last
-- binds: name, key, stream, position, why, when
WITH before AS (DELETE FROM diptych.skip WHERE name = $1 AND key = $2 AND stream = $3 AND position = $4)
INSERT INTO diptych.skip (name, key, stream, position, because, at) VALUES ($1, $2, $3, $4, $5, $6);

-- name: skips
-- purpose: the events of a view that are to be passed over
-- binds: name
SELECT key, stream, position, because, at FROM diptych.skip WHERE name = $1 ORDER BY position;
