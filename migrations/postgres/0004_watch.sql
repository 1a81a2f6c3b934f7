-- What is measured, what is checked, what is wrong, and who does not want to hear of it.

-- Numbers with a fraction are kept as the bits of a double, so that they come back as they were.
CREATE TABLE series (
    id         BIGINT PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL,
    -- A JSON object, its keys sorted.
    labels     TEXT COLLATE "C" NOT NULL,
    last_at    BIGINT NOT NULL,
    last_value BIGINT NOT NULL
);
CREATE UNIQUE INDEX series_by_name ON series (name, labels);
CREATE INDEX series_by_age ON series (last_at);

-- Numbered in the order of commits, so that a reader which has seen number n never finds a smaller one later.
CREATE TABLE samples (
    seq    BIGINT PRIMARY KEY,
    series BIGINT NOT NULL,
    at     BIGINT NOT NULL,
    value  BIGINT NOT NULL
);
CREATE INDEX samples_by_series ON samples (series, at);

-- Samples of a minute or an hour (`step`, in microseconds) together.
CREATE TABLE rollups (
    series  BIGINT NOT NULL,
    step    BIGINT NOT NULL,
    start   BIGINT NOT NULL,
    count   BIGINT NOT NULL,
    min     BIGINT NOT NULL,
    max     BIGINT NOT NULL,
    sum     BIGINT NOT NULL,
    last    BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (series, step, start)
);
CREATE INDEX rollups_by_age ON rollups (step, start);

-- One row an episode. `body` is the whole of it as JSON; the columns are what is searched.
CREATE TABLE alerts (
    id          TEXT COLLATE "C" PRIMARY KEY,
    fingerprint TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    since       BIGINT NOT NULL,
    resolved_at BIGINT,
    body        TEXT NOT NULL
);
CREATE UNIQUE INDEX alerts_live ON alerts (fingerprint) WHERE resolved_at IS NULL;
CREATE INDEX alerts_over ON alerts (resolved_at) WHERE resolved_at IS NOT NULL;

CREATE TABLE silences (
    id      TEXT COLLATE "C" PRIMARY KEY,
    ends_at BIGINT NOT NULL,
    body    TEXT NOT NULL
);
CREATE INDEX silences_by_end ON silences (ends_at);

CREATE TABLE checks (
    name  TEXT COLLATE "C" PRIMARY KEY,
    state TEXT COLLATE "C" NOT NULL,
    body  TEXT NOT NULL
);

INSERT INTO counters (name, value) VALUES ('series_id', 0), ('sample_seq', 0), ('watch_seen', 0);
