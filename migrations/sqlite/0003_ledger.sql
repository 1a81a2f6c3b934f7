-- The ledger of due times can be read from any side, however long it is.

CREATE INDEX occurrences_by_state ON occurrences (state, scheduled_for, job);
CREATE INDEX occurrences_of_job_by_state ON occurrences (job, state, scheduled_for);
-- What was missed, among all that happened.
CREATE INDEX events_missed ON events (seq) WHERE kind = 'schedule.missed';
