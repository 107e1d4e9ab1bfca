-- A generation of a view is divided into segments, each with a checkpoint of its own, and there may be live ones for
-- several versions of the code. What is filled stays as it is, as the one segment of its generation. Why a projection stood
-- still is not taken along: it is found again.

ALTER TABLE diptych.generation RENAME TO old_generation;
ALTER INDEX diptych.generation_pkey RENAME TO old_generation_pkey;

-- purpose: one row for each view's name: the highest number that a generation of it ever had, the one that the SQL view of
-- its name shows, and, where it is paused, since when and why (JSON)
CREATE TABLE diptych.view (
    generations  bigint           NOT NULL DEFAULT 0,
    shown        bigint,
    name         text COLLATE "C" NOT NULL PRIMARY KEY,
    pause        bytea
);

-- purpose: one row for each generation of a view: by code of which fingerprint it is filled, from which log, and whether it
-- is `filling`, `live` or `kept`
CREATE TABLE diptych.generation (
    generation   bigint           NOT NULL,
    name         text COLLATE "C" NOT NULL,
    fingerprint  text COLLATE "C" NOT NULL,
    log_id       text COLLATE "C" NOT NULL,
    state        text COLLATE "C" NOT NULL,
    PRIMARY KEY (name, generation)
);

-- purpose: the one generation that answers code of a fingerprint, and the one that is filled to replace it
CREATE UNIQUE INDEX generation_state ON diptych.generation (name, fingerprint, state) WHERE state <> 'kept';

-- purpose: one row for each segment of a generation: up to where it has applied the log, whose it is, how many keys it
-- holds back, and why it does not go on (JSON); `live` and `paused` stand here as well, so that a commit that waits for a
-- switch or a pause sees it
CREATE TABLE diptych.segment (
    generation  bigint           NOT NULL,
    epoch       bigint           NOT NULL,
    position    bigint           NOT NULL,
    segment     integer          NOT NULL,
    parked      integer          NOT NULL DEFAULT 0,
    live        boolean          NOT NULL,
    paused      boolean          NOT NULL,
    name        text COLLATE "C" NOT NULL,
    event_id    bytea            NOT NULL,
    owner       text COLLATE "C",
    failure     bytea,
    PRIMARY KEY (name, generation, segment),
    FOREIGN KEY (name, generation) REFERENCES diptych.generation ON DELETE CASCADE
) WITH (fillfactor = 50);

-- purpose: the workers that take segments; `beat` grows as long as one lives
CREATE TABLE diptych.worker (
    beat          bigint           NOT NULL,
    id            text COLLATE "C" NOT NULL PRIMARY KEY,
    fingerprints  text[]           NOT NULL
);

-- purpose: the dead letters of a generation: for a key (its text) or a stream that is held back, an event that is parked,
-- and why (JSON) if it is not only because of those before it
CREATE TABLE diptych.letter (
    generation  bigint           NOT NULL,
    position    bigint           NOT NULL,
    segment     integer          NOT NULL,
    name        text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    stream      text COLLATE "C" NOT NULL,
    type        text COLLATE "C" NOT NULL,
    parked_at   text COLLATE "C" NOT NULL,
    cause       bytea,
    FOREIGN KEY (name, generation) REFERENCES diptych.generation ON DELETE CASCADE
);

-- purpose: letters in order
CREATE INDEX letter_position ON diptych.letter (name, generation, position);

-- purpose: letters by key, which may be longer than what fits into another kind of index
CREATE INDEX letter_key ON diptych.letter USING hash (key);

-- purpose: letters that may concern every key
CREATE INDEX letter_stream ON diptych.letter (name, generation, position) WHERE stream <> '';

-- purpose: the events that operators have had passed over, for a key or a stream, in all generations of a view
CREATE TABLE diptych.skip (
    position  bigint           NOT NULL,
    name      text COLLATE "C" NOT NULL,
    key       text COLLATE "C" NOT NULL,
    stream    text COLLATE "C" NOT NULL,
    because   text COLLATE "C" NOT NULL,
    at        text COLLATE "C" NOT NULL
);

-- purpose: what is passed over in a view, in order
CREATE INDEX skip_position ON diptych.skip (name, position);

INSERT INTO diptych.view (name, generations, shown, pause)
SELECT name, coalesce(max(epoch), 0), max(epoch) FILTER (WHERE live), CASE WHEN min(since) IS NOT NULL THEN
    convert_to(json_build_object('since', min(since), 'reason', 'an operator has paused it')::text, 'UTF8') END
FROM diptych.old_generation FULL JOIN diptych.pause USING (name) GROUP BY name;

INSERT INTO diptych.generation (generation, name, fingerprint, log_id, state)
SELECT epoch, name, fingerprint, log_id, CASE WHEN live THEN 'live' ELSE 'filling' END FROM diptych.old_generation;

INSERT INTO diptych.segment (generation, epoch, position, segment, live, paused, name, event_id)
SELECT epoch, 1, position, 0, live, paused, name, event_id FROM diptych.old_generation;

DROP TABLE diptych.old_generation, diptych.pause;
