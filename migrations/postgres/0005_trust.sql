-- What was done and by whom, and which rights people have approved.

-- Numbered from 1 without gaps. `hash` covers the row and, by `prev`, all rows before it.
CREATE TABLE audit (
    seq        BIGINT PRIMARY KEY,
    at         BIGINT NOT NULL,
    node       TEXT NOT NULL,
    actor      TEXT NOT NULL,
    action     TEXT COLLATE "C" NOT NULL,
    object     TEXT NOT NULL,
    job        TEXT COLLATE "C",
    run        TEXT COLLATE "C",
    permission TEXT,
    outcome    TEXT COLLATE "C" NOT NULL,
    data       TEXT,
    prev       TEXT COLLATE "C" NOT NULL,
    hash       TEXT COLLATE "C" NOT NULL
);
CREATE INDEX audit_by_job ON audit (job, seq) WHERE job IS NOT NULL;
CREATE INDEX audit_by_time ON audit (at, seq);

-- `head` is the newest row of the log, `checkpoint` the newest that retention has removed.
CREATE TABLE audit_ends (
    name TEXT COLLATE "C" PRIMARY KEY,
    seq  BIGINT NOT NULL,
    hash TEXT COLLATE "C" NOT NULL
);
INSERT INTO audit_ends (name, seq, hash)
VALUES ('head', 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;
CREATE FUNCTION audit_refuse_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.seq > COALESCE((SELECT seq FROM audit_ends WHERE name = 'checkpoint'), 0) THEN
        RAISE EXCEPTION 'the audit log is append-only; only retention removes rows, up to its checkpoint';
    END IF;
    RETURN OLD;
END
$$;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuse_removal();
CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_ends_go_forward BEFORE UPDATE ON audit_ends FOR EACH ROW WHEN (NEW.seq < OLD.seq)
    EXECUTE FUNCTION audit_refuse();

-- The rights of a job that a person has approved.
CREATE TABLE rights (
    job         TEXT COLLATE "C" PRIMARY KEY,
    -- A JSON list.
    rights      TEXT NOT NULL,
    hash        TEXT COLLATE "C" NOT NULL,
    approved_by TEXT NOT NULL,
    approved_at BIGINT NOT NULL
);
