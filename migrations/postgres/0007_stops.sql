-- Running runs that another daemon than theirs was asked to cancel; whoever holds one looks here. A row that is left over
-- when its run has ended goes with the next one that comes.
CREATE TABLE stops (
    run    TEXT COLLATE "C" PRIMARY KEY,
    actor  TEXT NOT NULL,
    reason TEXT NOT NULL,
    at     BIGINT NOT NULL
);
