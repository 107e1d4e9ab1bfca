-- Views that are kept in step with the log.

-- purpose: the views that every append brings forward, and the code that does it
CREATE TABLE diptych.in_step (
    name         text COLLATE "C" NOT NULL PRIMARY KEY,
    fingerprint  text COLLATE "C" NOT NULL
);

-- They are made again, with one more argument.
DROP FUNCTION IF EXISTS diptych.append_one;
DROP FUNCTION IF EXISTS diptych.append_group;
DROP FUNCTION IF EXISTS diptych.append_batch;
