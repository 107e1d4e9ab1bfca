-- How events are appended. These functions are applied after every migration, so a change here comes with one, which
-- drops what would be left over: CREATE OR REPLACE keeps a function with other arguments.
--
-- Each call is one transaction: it takes the log's lock in a statement of its own, and reads in
-- the next, because a lock and a read in one statement share a snapshot from before the wait. Then it judges, writes,
-- and wakes those who follow. `now` is microseconds since 1970, or NULL for the server's clock. `followed` has the views,
-- name and fingerprint, that the caller brings forward in the same transaction; where others are to be kept in step, too,
-- DP001 is raised.
--
-- Positions follow the newest event's. There is no sequence, which would leave gaps, and no counter row, whose dead
-- versions would pile up under somebody's long transaction.
--
-- Plans are kept for as long as a connection lives, so none may be made for an empty table: no sequential scans.

-- purpose: the newest event after a position that has one of the types (any, if none is given) and all of the tags
CREATE OR REPLACE FUNCTION diptych.newest(wanted_types text[], wanted_tags text[], after bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF cardinality(wanted_tags) > 0 THEN
        RETURN (
            SELECT max(found.position) FROM (
                SELECT event_tag.position FROM diptych.event_tag
                WHERE event_tag.tag = ANY (wanted_tags) AND event_tag.position > after
                  AND (cardinality(wanted_types) = 0 OR event_tag.type = ANY (wanted_types))
                GROUP BY event_tag.position HAVING count(*) = cardinality(wanted_tags)
            ) AS found
        );
    ELSIF cardinality(wanted_types) > 0 THEN
        RETURN (
            SELECT max(newest.position)
            FROM unnest(wanted_types) AS wanted (type)
            CROSS JOIN LATERAL (
                SELECT event.position FROM diptych.event
                WHERE event.type = wanted.type AND event.position > after
                ORDER BY event.position DESC LIMIT 1
            ) AS newest
        );
    ELSE
        RETURN (SELECT max(event.position) FROM diptych.event WHERE event.position > after);
    END IF;
END;
$$;

-- purpose: appends of a group, each judged against the log and against those before it in the group
--
-- Appends are numbered from 1. `command_nos` and `stream_nos` number the command ids and the streams of the group, of
-- which each comes once. `expected` is a stream's version, or NULL. Events come in order of their appends.
--
-- `boundaries` is a JSON array of what must not be newer, or NULL: {"append", "after", "types", "tags"}. The rivals of an
-- append are the events in its boundary that come before it in the group, in its order: the number of the append, of the
-- rival append and of the event in that, and the position after which it counts.
--
-- `new_kinds` says that the group has events of a type and schema that the caller has not seen kept yet.
--
-- Each append's answer is its kind, with two numbers:
--   0  kept: the position before its first event, the stream's version before it
--   1  the command was accepted before: nothing
--   2  the stream is not at the expected version: nothing, the version that was found
--   3  the boundary has a newer event: its position, nothing
CREATE OR REPLACE FUNCTION diptych.append_group(
    lock_timeout text, now bigint, followed text[], new_kinds boolean,
    command_nos integer[], command_ids text[], fingerprints bytea[], stream_nos integer[], streams text[],
    expected bigint[], counts integer[], metadata bytea[],
    boundaries text, rival_of integer[], rivals integer[], rival_nths integer[], afters bigint[],
    event_appends integer[], nths integer[], types text[], schemas integer[], event_ids bytea[], tags text[],
    datas bytea[],
    OUT kinds integer[], OUT positions bigint[], OUT versions bigint[]
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    number   integer := cardinality(command_nos);
    head     bigint;
    began    bigint;
    at       bigint;
    accepted boolean[];
    found    bigint[];
    newest   bigint[];
    boundary record;
    rival    integer := 1;
    command  integer;
    stream   integer;
BEGIN
    PERFORM set_config('lock_timeout', lock_timeout, true),
        CASE WHEN current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')
            THEN set_config('synchronous_commit', 'on', true) END,
        pg_advisory_xact_lock(1146115161, 'diptych.event'::regclass::oid::bigint::bit(32)::integer);
    SELECT coalesce(max(last.position), 0), greatest(
            0, max(last.recorded_at), coalesce(now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
        ),
        ARRAY(
            SELECT (SELECT true FROM diptych.ledger WHERE ledger.command_id = wanted.id)
            FROM unnest(command_ids) AS wanted (id)
        ),
        ARRAY(
            SELECT coalesce((
                SELECT event.version FROM diptych.event WHERE event.stream = wanted.name
                ORDER BY event.version DESC LIMIT 1
            ), 0) FROM unnest(streams) AS wanted (name)
        ),
        array_fill(0, ARRAY[number]), array_fill(0::bigint, ARRAY[number]), array_fill(0::bigint, ARRAY[number])
    INTO head, at, accepted, found, kinds, positions, versions
    FROM (SELECT event.position, event.recorded_at FROM diptych.event ORDER BY event.position DESC LIMIT 1) AS last;
    began := head;
    IF boundaries IS NOT NULL THEN
        newest := array_fill(NULL::bigint, ARRAY[number]);
        FOR boundary IN
            SELECT * FROM jsonb_to_recordset(boundaries::jsonb)
                AS wanted (append integer, after bigint, types text[], tags text[])
        LOOP
            newest[boundary.append] := greatest(
                newest[boundary.append], diptych.newest(boundary.types, boundary.tags, boundary.after)
            );
        END LOOP;
    END IF;
    FOR i IN 1..number LOOP
        command := command_nos[i];
        stream := stream_nos[i];
        IF boundaries IS NOT NULL THEN
            WHILE rival_of[rival] = i LOOP
                IF kinds[rivals[rival]] = 0 AND positions[rivals[rival]] + rival_nths[rival] > afters[rival] THEN
                    newest[i] := greatest(newest[i], positions[rivals[rival]] + rival_nths[rival]);
                END IF;
                rival := rival + 1;
            END LOOP;
        END IF;
        IF accepted[command] THEN
            kinds[i] := 1;
        ELSIF expected[i] <> found[stream] THEN
            kinds[i] := 2;
            versions[i] := found[stream];
        ELSIF newest[i] IS NOT NULL THEN
            kinds[i] := 3;
            positions[i] := newest[i];
        ELSE
            accepted[command] := true;
            positions[i] := head;
            versions[i] := found[stream];
            head := head + counts[i];
            found[stream] := found[stream] + counts[i];
        END IF;
    END LOOP;
    IF NOT 0 = ANY (kinds) THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM diptych.in_step WHERE in_step.name || ' ' || in_step.fingerprint <> ALL (followed)) THEN
        RAISE EXCEPTION 'a view is kept in step that the caller does not know of' USING ERRCODE = 'DP001';
    END IF;
    INSERT INTO diptych.ledger (position, version, recorded_at, events, command_id, stream, fingerprint)
    SELECT positions[i] + counts[i], versions[i] + counts[i], at, counts[i],
           command_ids[command_nos[i]], streams[stream_nos[i]], fingerprints[i]
    FROM generate_series(1, number) AS i WHERE kinds[i] = 0;
    IF head = began THEN
        RETURN;
    END IF;
    INSERT INTO diptych.event (position, version, recorded_at, schema, stream, type, event_id, tags, data, metadata)
    SELECT positions[added.append] + added.nth, versions[added.append] + added.nth, at, added.schema,
           streams[stream_nos[added.append]], added.type, added.event_id, added.tags, added.data, metadata[added.append]
    FROM unnest(event_appends, nths, types, schemas, event_ids, tags, datas)
         AS added (append, nth, type, schema, event_id, tags, data)
    WHERE kinds[added.append] = 0;
    IF new_kinds THEN
        INSERT INTO diptych.event_kind (type, schema, position)
        SELECT added.type, added.schema, min(positions[added.append] + added.nth)
        FROM unnest(event_appends, nths, types, schemas) AS added (append, nth, type, schema)
        WHERE kinds[added.append] = 0 GROUP BY added.type, added.schema
        ON CONFLICT DO NOTHING;
    END IF;
    IF '[]' <> ANY (tags) THEN
        INSERT INTO diptych.event_tag (tag, position, type)
        SELECT DISTINCT tag.name, positions[added.append] + added.nth, added.type
        FROM unnest(event_appends, nths, types, tags) AS added (append, nth, type, tags)
        CROSS JOIN LATERAL json_array_elements_text(added.tags::json) AS tag (name)
        WHERE kinds[added.append] = 0 AND added.tags <> '[]';
    END IF;
    PERFORM pg_notify('diptych', 'log ' || head);
END;
$$;

-- purpose: the append of a group of one, with one event and without a boundary; it answers as append_group does
CREATE OR REPLACE FUNCTION diptych.append_one(
    lock_timeout text, now bigint, followed text[],
    command_id text, fingerprint bytea, stream text, expected bigint, metadata bytea,
    type text, schema integer, event_id bytea, tags text, data bytea,
    OUT kind integer, OUT "position" bigint, OUT version bigint
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_variable
DECLARE
    at       bigint;
    accepted boolean;
BEGIN
    PERFORM set_config('lock_timeout', lock_timeout, true),
        CASE WHEN current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')
            THEN set_config('synchronous_commit', 'on', true) END,
        pg_advisory_xact_lock(1146115161, 'diptych.event'::regclass::oid::bigint::bit(32)::integer);
    SELECT coalesce(max(last.position), 0), greatest(
            0, max(last.recorded_at), coalesce(now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
        ),
        coalesce((
            SELECT event.version FROM diptych.event WHERE event.stream = append_one.stream
            ORDER BY event.version DESC LIMIT 1
        ), 0),
        (SELECT true FROM diptych.ledger WHERE ledger.command_id = append_one.command_id)
    INTO position, at, version, accepted
    FROM (SELECT event.position, event.recorded_at FROM diptych.event ORDER BY event.position DESC LIMIT 1) AS last;
    IF accepted THEN
        kind := 1;
        RETURN;
    ELSIF expected <> version THEN
        kind := 2;
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM diptych.in_step WHERE in_step.name || ' ' || in_step.fingerprint <> ALL (followed)) THEN
        RAISE EXCEPTION 'a view is kept in step that the caller does not know of' USING ERRCODE = 'DP001';
    END IF;
    INSERT INTO diptych.ledger (position, version, recorded_at, events, command_id, stream, fingerprint)
    VALUES (position + 1, version + 1, at, 1, command_id, stream, fingerprint);
    INSERT INTO diptych.event (position, version, recorded_at, schema, stream, type, event_id, tags, data, metadata)
    VALUES (position + 1, version + 1, at, schema, stream, type, event_id, tags, data, metadata);
    IF tags <> '[]' THEN
        INSERT INTO diptych.event_tag (tag, position, type)
        SELECT DISTINCT tag.name, append_one.position + 1, append_one.type
        FROM json_array_elements_text(tags::json) AS tag (name);
    END IF;
    PERFORM pg_notify('diptych', 'log ' || (position + 1));
    kind := 0;
END;
$$;

-- purpose: a batch of events of many streams, kept all or none
--
-- `streams` has each stream once, and `expected` the version that it must be at, or NULL. Events come in their order, each
-- with the number of its stream, and its own number in there, both from 1.
--
-- `kind` is as append_group's, of which 0, 1 and 2 occur, with the position before the first event; `version` is the one
-- that the stream with the number `stream_no` was found at: that of the last event, or the first that is not as expected.
CREATE OR REPLACE FUNCTION diptych.append_batch(
    lock_timeout text, now bigint, followed text[], new_kinds boolean,
    command_id text, fingerprint bytea, streams text[], expected bigint[],
    stream_nos integer[], nths integer[], types text[], schemas integer[], event_ids bytea[], tags text[],
    datas bytea[], metadata bytea[],
    OUT kind integer, OUT "position" bigint, OUT stream_no integer, OUT version bigint
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_variable
DECLARE
    number   integer := cardinality(stream_nos);
    at       bigint;
    accepted boolean;
    versions bigint[];
BEGIN
    PERFORM set_config('lock_timeout', lock_timeout, true),
        CASE WHEN current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')
            THEN set_config('synchronous_commit', 'on', true) END,
        pg_advisory_xact_lock(1146115161, 'diptych.event'::regclass::oid::bigint::bit(32)::integer);
    SELECT coalesce(max(last.position), 0), greatest(
            0, max(last.recorded_at), coalesce(now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
        ),
        (SELECT true FROM diptych.ledger WHERE ledger.command_id = append_batch.command_id),
        ARRAY(
            SELECT coalesce((
                SELECT event.version FROM diptych.event WHERE event.stream = wanted.name
                ORDER BY event.version DESC LIMIT 1
            ), 0) FROM unnest(streams) AS wanted (name)
        )
    INTO position, at, accepted, versions
    FROM (SELECT event.position, event.recorded_at FROM diptych.event ORDER BY event.position DESC LIMIT 1) AS last;
    IF accepted THEN
        kind := 1;
        RETURN;
    END IF;
    FOR i IN 1..cardinality(streams) LOOP
        IF expected[i] <> versions[i] THEN
            kind := 2;
            stream_no := i;
            version := versions[i];
            RETURN;
        END IF;
    END LOOP;
    kind := 0;
    stream_no := stream_nos[number];
    version := versions[stream_no];
    IF EXISTS (SELECT FROM diptych.in_step WHERE in_step.name || ' ' || in_step.fingerprint <> ALL (followed)) THEN
        RAISE EXCEPTION 'a view is kept in step that the caller does not know of' USING ERRCODE = 'DP001';
    END IF;
    INSERT INTO diptych.ledger (position, version, recorded_at, events, command_id, stream, fingerprint)
    VALUES (position + number, version + nths[number], at, number, command_id, streams[stream_no], fingerprint);
    INSERT INTO diptych.event (position, version, recorded_at, schema, stream, type, event_id, tags, data, metadata)
    SELECT append_batch.position + added.number, versions[added.stream_no] + added.nth, at, added.schema,
           streams[added.stream_no], added.type, added.event_id, added.tags, added.data, added.metadata
    FROM unnest(stream_nos, nths, types, schemas, event_ids, tags, datas, metadata) WITH ORDINALITY
         AS added (stream_no, nth, type, schema, event_id, tags, data, metadata, number);
    IF new_kinds THEN
        INSERT INTO diptych.event_kind (type, schema, position)
        SELECT added.type, added.schema, min(append_batch.position + added.number)
        FROM unnest(types, schemas) WITH ORDINALITY AS added (type, schema, number)
        GROUP BY added.type, added.schema
        ON CONFLICT DO NOTHING;
    END IF;
    IF '[]' <> ANY (tags) THEN
        INSERT INTO diptych.event_tag (tag, position, type)
        SELECT DISTINCT tag.name, append_batch.position + added.number, added.type
        FROM unnest(types, tags) WITH ORDINALITY AS added (type, tags, number)
        CROSS JOIN LATERAL json_array_elements_text(added.tags::json) AS tag (name)
        WHERE added.tags <> '[]';
    END IF;
    PERFORM pg_notify('diptych', 'log ' || (position + number));
END;
$$;
