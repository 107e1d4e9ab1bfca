-- The statements that read a span of the log. Their one ASC becomes DESC to read it from its end. Bind variables are given
-- by position: $1 and $2 bound the positions (outside, inside), $3 types, $4 category with its dash or NULL for any,
-- $5 limit, $6 the stream or the first of the tags, $7 tags.

-- name: find_by_scan
-- purpose: a piece of the log, filtered
SELECT position, stream, version, type, schema, event_id, recorded_at, tags, data, metadata
FROM diptych.event
WHERE position > $1 AND position <= $2
  AND (cardinality($3::text[]) = 0 OR type = ANY ($3)) AND ($4::text IS NULL OR starts_with(stream, $4))
ORDER BY position ASC LIMIT $5;

-- name: find_by_tags
-- purpose: the events that have all of the tags, in the order in which one of them is indexed; the inner limit keeps the
-- planner from any other order
SELECT event.position, event.stream, event.version, event.type, event.schema, event.event_id, event.recorded_at,
    event.tags, event.data, event.metadata
FROM diptych.event_tag AS tagged
CROSS JOIN LATERAL (SELECT * FROM diptych.event WHERE event.position = tagged.position LIMIT 1) AS event
WHERE tagged.tag = $6 AND tagged.position > $1 AND tagged.position <= $2
  AND (cardinality($3::text[]) = 0 OR tagged.type = ANY ($3)) AND ($4::text IS NULL OR starts_with(event.stream, $4))
  AND (cardinality($7::text[]) = 1 OR cardinality($7::text[]) = (
      SELECT count(*) FROM diptych.event_tag
      WHERE event_tag.tag = ANY ($7) AND event_tag.position = tagged.position
  ))
ORDER BY tagged.position ASC LIMIT $5;

-- name: find_by_stream
-- purpose: one stream; its versions are in the order of their positions, and the event beside the page, if it is of the
-- stream, tells where to begin
SELECT event.position, event.stream, event.version, event.type, event.schema, event.event_id, event.recorded_at,
    event.tags, event.data, event.metadata
FROM diptych.event
WHERE event.stream = $6 AND event.position > $1 AND event.position <= $2
  AND event.version > coalesce((SELECT version FROM diptych.event WHERE position = $1 AND stream = $6), 0)
  AND event.version < coalesce((SELECT version FROM diptych.event WHERE position = $2 + 1 AND stream = $6), 9223372036854775807)
  AND (cardinality($3::text[]) = 0 OR event.type = ANY ($3)) AND ($4::text IS NULL OR starts_with(event.stream, $4))
  AND cardinality($7::text[]) = (
      SELECT count(*) FROM diptych.event_tag
      WHERE event_tag.tag = ANY ($7) AND event_tag.position = event.position
  )
ORDER BY event.version ASC LIMIT $5;
