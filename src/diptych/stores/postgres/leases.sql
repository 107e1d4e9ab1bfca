-- The statements about workers, and about which of them has which segment.
-- Bind variables are given by position, in the order in which `binds` names them.

-- name: beat
-- purpose: make a worker known, or have its beat grow, and give all workers
-- binds: id, the beat that it knows of, fingerprints
WITH beaten AS (
    INSERT INTO diptych.worker (id, beat, fingerprints) VALUES ($1, $2::bigint + 1, $3)
    ON CONFLICT (id) DO UPDATE SET beat = worker.beat + 1, fingerprints = excluded.fingerprints
    RETURNING id, beat, fingerprints
)
SELECT id, beat, fingerprints FROM beaten
UNION ALL SELECT id, beat, fingerprints FROM diptych.worker WHERE id <> $1 ORDER BY id;

-- name: workers
-- purpose: all workers that are known
-- binds: none
SELECT id, beat, fingerprints FROM diptych.worker ORDER BY id;

-- name: expel
-- purpose: forget a worker that has not beaten since
-- binds: id, beat
DELETE FROM diptych.worker WHERE id = $1 AND beat = $2 RETURNING true;

-- name: leave
-- purpose: forget a worker
-- binds: id
DELETE FROM diptych.worker WHERE id = $1;

-- name: free
-- purpose: take every segment from a worker that is forgotten, in a statement after that, which sees what it took last
-- binds: id
WITH owned AS (
    SELECT name, generation, segment FROM diptych.segment WHERE owner = $1
    ORDER BY name, generation, segment FOR UPDATE
)
UPDATE diptych.segment SET owner = NULL, epoch = epoch + 1 FROM owned
WHERE (segment.name, segment.generation, segment.segment) = (owned.name, owned.generation, owned.segment);

-- name: take
-- purpose: give a free segment to a worker, whom nobody forgets in this moment
-- binds: name, generation, segment, epoch, worker's id
WITH taker AS (SELECT id FROM diptych.worker WHERE id = $5 FOR SHARE)
UPDATE diptych.segment SET owner = taker.id, epoch = epoch + 1 FROM taker
WHERE name = $1 AND generation = $2 AND segment = $3 AND epoch = $4 AND owner IS NULL
RETURNING epoch, position, event_id, owner, parked, failure;

-- name: release
-- purpose: free a segment
-- binds: name, generation, segment, epoch
UPDATE diptych.segment SET owner = NULL, epoch = epoch + 1
WHERE name = $1 AND generation = $2 AND segment = $3 AND epoch = $4;
