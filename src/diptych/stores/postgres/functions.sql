-- How events are appended. Each call is one transaction: it takes the log's lock in a statement of its own, reads in the
-- next (a lock and a read in one statement share a snapshot from before the wait), judges, writes, and wakes followers.
--
-- Positions follow the newest event's. There is no sequence, which would leave gaps, and no counter row, whose dead
-- versions would pile up under a long transaction of somebody else's.

-- purpose: takes the log's lock for this transaction, waiting so long at most, and makes the commit durable
CREATE OR REPLACE FUNCTION diptych.take_turn(lock_timeout text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('lock_timeout', lock_timeout, true);
    IF current_setting('synchronous_commit') IN ('off', 'local', 'remote_write') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    PERFORM pg_advisory_xact_lock(1146115161, 'diptych.event'::regclass::oid::bigint::bit(32)::integer);
END;
$$;

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
-- Appends are numbered from 1. `command_nos` and `stream_nos` number the different command ids and streams of the group.
-- `expected` is a stream's version, or NULL. `boundaries` is a JSON array of what must not be newer, or NULL: {"append",
-- "after", "types", "tags"}. `rival_*` name, for an append with a boundary, the earlier events of the group that are in
-- it: the append, the rival append, and the number of the event in that, from 1; `afters` have each rival's bound. Events come in order of their appends.
--
-- Each append's answer is its kind, with two numbers:
--   0  kept: the position before its first event, the stream's version before it
--   1  the command was accepted before: nothing
--   2  the stream is not at the expected version: nothing, the version that was found
--   3  the boundary has a newer event: its position, nothing
CREATE OR REPLACE FUNCTION diptych.append_group(
    lock_timeout text, now bigint,
    command_nos integer[], command_ids text[], fingerprints bytea[], stream_nos integer[], streams text[],
    expected bigint[], counts integer[], metadata bytea[],
    boundaries text, rival_of integer[], rivals integer[], rival_nths integer[], afters bigint[],
    event_appends integer[], nths integer[], types text[], schemas integer[], event_ids bytea[], tags text[], datas bytea[],
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
    PERFORM diptych.take_turn(lock_timeout);
    SELECT event.position, event.recorded_at INTO head, at FROM diptych.event ORDER BY event.position DESC LIMIT 1;
    head := coalesce(head, 0);
    began := head;
    at := greatest(at, now, CASE WHEN now IS NULL THEN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint END);
    SELECT array_agg(EXISTS (SELECT FROM diptych.ledger WHERE ledger.command_id = wanted.id) ORDER BY wanted.number)
    INTO accepted FROM unnest(command_ids) WITH ORDINALITY AS wanted (id, number);
    SELECT array_agg(
        coalesce((
            SELECT event.version FROM diptych.event WHERE event.stream = wanted.name ORDER BY event.version DESC LIMIT 1
        ), 0) ORDER BY wanted.number
    ) INTO found FROM unnest(streams) WITH ORDINALITY AS wanted (name, number);
    kinds := array_fill(0, ARRAY[number]);
    positions := array_fill(0::bigint, ARRAY[number]);
    versions := array_fill(0::bigint, ARRAY[number]);
    IF boundaries IS NOT NULL THEN
        newest := array_fill(NULL::bigint, ARRAY[number]);
        FOR boundary IN
            SELECT * FROM jsonb_to_recordset(boundaries::jsonb) AS b (append integer, after bigint, types text[], tags text[])
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
