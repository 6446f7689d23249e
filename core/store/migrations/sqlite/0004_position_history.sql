-- Where sources had been read to, thinned out: to go back to an instant. Of a minute the first one is
-- kept, and whatever somebody set.
CREATE TABLE position_history (
    partition        INTEGER NOT NULL,
    capture_point    TEXT    NOT NULL,
    source_partition TEXT    NOT NULL,
    at               INTEGER NOT NULL,
    position         BLOB    NOT NULL,
    PRIMARY KEY (partition, capture_point, source_partition, at)
) STRICT, WITHOUT ROWID;

CREATE INDEX position_history_at ON position_history (partition, at);

-- Capture points that somebody paused.
CREATE TABLE pause (
    partition     INTEGER NOT NULL,
    capture_point TEXT    NOT NULL,
    paused_by     TEXT    NOT NULL,
    reason        TEXT,
    at            INTEGER NOT NULL,
    PRIMARY KEY (partition, capture_point)
) STRICT, WITHOUT ROWID;
