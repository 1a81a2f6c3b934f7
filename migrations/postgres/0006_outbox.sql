-- Messages on their way to people. A row stays until its receiver has taken it, or will not.
CREATE TABLE outbox (
    id          TEXT COLLATE "C" PRIMARY KEY,
    route       TEXT COLLATE "C" NOT NULL,
    destination TEXT COLLATE "C" NOT NULL,
    -- gathering (more of the same join it until it is due), waiting, or dead.
    state       TEXT COLLATE "C" NOT NULL,
    group_key   TEXT COLLATE "C" NOT NULL,
    -- How many messages it stands for.
    count       BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    due_at      BIGINT NOT NULL,
    body        TEXT NOT NULL,
    error       TEXT
);
CREATE UNIQUE INDEX outbox_gathering ON outbox (route, destination, group_key) WHERE state = 'gathering';
CREATE INDEX outbox_due ON outbox (due_at) WHERE state <> 'dead';
CREATE INDEX outbox_dead ON outbox (created_at) WHERE state = 'dead';
