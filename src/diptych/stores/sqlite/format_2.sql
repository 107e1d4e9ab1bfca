-- From format 1 of the log's file to format 2: a log knows the bounded context that it belongs to.

ALTER TABLE log ADD COLUMN context TEXT;
