-- A log knows the bounded context that it belongs to: the first that is opened on it.

ALTER TABLE diptych.log ADD COLUMN context text COLLATE "C";
