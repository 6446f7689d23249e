-- The alerts that are raised.
CREATE TABLE alert (
    partition INTEGER NOT NULL,
    alert     TEXT    NOT NULL,
    raised_at INTEGER NOT NULL,
    value     INTEGER NOT NULL,
    PRIMARY KEY (partition, alert)
) STRICT, WITHOUT ROWID;
