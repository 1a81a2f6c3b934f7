-- Messages on their way to people. A row stays until its receiver has taken it, or will not.
CREATE TABLE outbox (
    id          TEXT PRIMARY KEY,
    route       TEXT NOT NULL,
    destination TEXT NOT NULL,
    -- gathering (more of the same join it until it is due), waiting, or dead.
    state       TEXT NOT NULL,
    group_key   TEXT NOT NULL,
    -- How many messages it stands for.
    count       INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    due_at      INTEGER NOT NULL,
    body        TEXT NOT NULL,
    error       TEXT
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX outbox_gathering ON outbox (route, destination, group_key) WHERE state = 'gathering';
CREATE INDEX outbox_due ON outbox (due_at) WHERE state <> 'dead';
CREATE INDEX outbox_dead ON outbox (created_at) WHERE state = 'dead';
