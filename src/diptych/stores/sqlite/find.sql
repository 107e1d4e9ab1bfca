-- The statements that read a span of the log. Their one ASC becomes DESC to read it from its end. Bind variables are given
-- by name: low and high bound the positions (low is outside, high inside), stream, category (with its dash, NULL for any),
-- types and tags (JSON arrays), tag (the first of them), tag_count, limit.

-- name: find_by_scan
-- purpose: a piece of the log, filtered
SELECT event.position, event.stream, event.version, event.type, event.schema, event.event_id, event.recorded_at,
    event.tags, event.data, event.metadata
FROM event
WHERE event.position > :low AND event.position <= :high
  AND (json_array_length(CAST(:types AS TEXT)) = 0 OR +event.type IN (SELECT value FROM json_each(CAST(:types AS TEXT))))
  AND (:category IS NULL OR substr(event.stream, 1, length(:category)) = :category)
ORDER BY event.position ASC LIMIT :limit;

-- name: find_by_stream
-- purpose: one stream; its versions are in the order of their positions, and the event beside the page, if it is of the
-- stream, tells where to begin
SELECT event.position, event.stream, event.version, event.type, event.schema, event.event_id, event.recorded_at,
    event.tags, event.data, event.metadata
FROM event
WHERE event.stream = :stream AND +event.position > :low AND +event.position <= :high
  AND event.version > coalesce((SELECT version FROM event WHERE position = :low AND stream = :stream), 0)
  AND event.version < coalesce((SELECT version FROM event WHERE position = :high + 1 AND stream = :stream), 9223372036854775807)
  AND (json_array_length(CAST(:types AS TEXT)) = 0 OR +event.type IN (SELECT value FROM json_each(CAST(:types AS TEXT))))
  AND (:category IS NULL OR substr(event.stream, 1, length(:category)) = :category)
  AND (:tag_count = 0 OR :tag_count = (
      SELECT count(*) FROM event_tag
      WHERE event_tag.tag IN (SELECT value FROM json_each(CAST(:tags AS TEXT))) AND event_tag.position = event.position
  ))
ORDER BY event.version ASC LIMIT :limit;

-- name: find_by_tags
-- purpose: the events that have all of the tags, in the order in which one of them is indexed
SELECT event.position, event.stream, event.version, event.type, event.schema, event.event_id, event.recorded_at,
    event.tags, event.data, event.metadata
FROM event_tag AS tagged CROSS JOIN event ON event.position = tagged.position
WHERE tagged.tag = :tag AND tagged.position > :low AND tagged.position <= :high
  AND (json_array_length(CAST(:types AS TEXT)) = 0 OR tagged.type IN (SELECT value FROM json_each(CAST(:types AS TEXT))))
  AND (:category IS NULL OR substr(event.stream, 1, length(:category)) = :category)
  AND (:tag_count = 1 OR :tag_count = (
      SELECT count(*) FROM event_tag
      WHERE event_tag.tag IN (SELECT value FROM json_each(CAST(:tags AS TEXT))) AND event_tag.position = tagged.position
  ))
ORDER BY tagged.position ASC LIMIT :limit;
