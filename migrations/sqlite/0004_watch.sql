-- What is measured, what is checked, what is wrong, and who does not want to hear of it.

-- Numbers with a fraction are kept as the bits of a double, so that they come back as they were.
CREATE TABLE series (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    -- A JSON object, its keys sorted.
    labels     TEXT NOT NULL,
    last_at    INTEGER NOT NULL,
    last_value INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX series_by_name ON series (name, labels);
CREATE INDEX series_by_age ON series (last_at);

-- Numbered in the order of commits, so that a reader which has seen number n never finds a smaller one later.
CREATE TABLE samples (
    seq    INTEGER PRIMARY KEY,
    series INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    value  INTEGER NOT NULL
) STRICT;
CREATE INDEX samples_by_series ON samples (series, at);

-- Samples of a minute or an hour (`step`, in microseconds) together.
CREATE TABLE rollups (
    series  INTEGER NOT NULL,
    step    INTEGER NOT NULL,
    start   INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    min     INTEGER NOT NULL,
    max     INTEGER NOT NULL,
    sum     INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (series, step, start)
) STRICT, WITHOUT ROWID;
CREATE INDEX rollups_by_age ON rollups (step, start);

-- One row an episode. `body` is the whole of it as JSON; the columns are what is searched.
CREATE TABLE alerts (
    id          TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    state       TEXT NOT NULL,
    since       INTEGER NOT NULL,
    resolved_at INTEGER,
    body        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX alerts_live ON alerts (fingerprint) WHERE resolved_at IS NULL;
CREATE INDEX alerts_over ON alerts (resolved_at) WHERE resolved_at IS NOT NULL;

CREATE TABLE silences (
    id      TEXT PRIMARY KEY,
    ends_at INTEGER NOT NULL,
    body    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX silences_by_end ON silences (ends_at);

CREATE TABLE checks (
    name  TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    body  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('series_id', 0), ('sample_seq', 0), ('watch_seen', 0);
