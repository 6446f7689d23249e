-- The schema of one database. `partition` stands in every key: alone, or as the upper 16 bits of a
-- work item's id.

-- One row a partition: what is committed, and who may commit.
CREATE TABLE meta (
    partition      INTEGER NOT NULL PRIMARY KEY,
    epoch          INTEGER NOT NULL,
    seq            INTEGER NOT NULL,
    at             INTEGER NOT NULL,
    next_counter   INTEGER NOT NULL,
    config_version INTEGER NOT NULL
) STRICT;

-- One row a commit: all its events.
CREATE TABLE journal (
    partition      INTEGER NOT NULL,
    seq            INTEGER NOT NULL,
    at             INTEGER NOT NULL,
    config_version INTEGER NOT NULL,
    segment        BLOB    NOT NULL,
    PRIMARY KEY (partition, seq)
) STRICT, WITHOUT ROWID;

-- The hot row: narrow. `state` is the truth; the columns before it are for lists. `segments` are
-- the commits that touched the item, as variable-length integers, one after the other.
CREATE TABLE item (
    id            INTEGER NOT NULL PRIMARY KEY,
    life_cycle    INTEGER NOT NULL,
    hold          INTEGER NOT NULL,
    assignment    INTEGER NOT NULL,
    agent         TEXT,
    process       TEXT,
    capture_point TEXT    NOT NULL,
    captured_at   INTEGER NOT NULL,
    queued_at     INTEGER,
    due_at        INTEGER,
    external_id   TEXT,
    name          TEXT,
    source_url    TEXT,
    segments      BLOB    NOT NULL,
    state         BLOB    NOT NULL
) STRICT;

-- Final states are numbered from 4: boot and lists of live items never read ended ones.
CREATE INDEX item_live ON item (id) WHERE life_cycle < 4;

-- The wide row, read by id only.
CREATE TABLE document (
    item         INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    attributes   BLOB    NOT NULL,
    payload      BLOB,
    content_type TEXT,
    PRIMARY KEY (item, revision)
) STRICT, WITHOUT ROWID;

-- The item that has a key or had it last. In natural order: a hashed key would make every insert a
-- random page.
CREATE TABLE item_key (
    partition     INTEGER NOT NULL,
    capture_point TEXT    NOT NULL,
    external_id   TEXT    NOT NULL,
    item          INTEGER NOT NULL,
    hash          BLOB    NOT NULL,
    PRIMARY KEY (partition, capture_point, external_id)
) STRICT, WITHOUT ROWID;

-- Messages of sources that were seen.
CREATE TABLE message (
    partition     INTEGER NOT NULL,
    capture_point TEXT    NOT NULL,
    message_id    TEXT    NOT NULL,
    item          INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    PRIMARY KEY (partition, capture_point, message_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX message_at ON message (partition, at);

CREATE TABLE agent (
    partition INTEGER NOT NULL,
    id        TEXT    NOT NULL,
    state     BLOB    NOT NULL,
    PRIMARY KEY (partition, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE position (
    partition        INTEGER NOT NULL,
    capture_point    TEXT    NOT NULL,
    source_partition TEXT    NOT NULL,
    position         BLOB    NOT NULL,
    at               INTEGER NOT NULL,
    PRIMARY KEY (partition, capture_point, source_partition)
) STRICT, WITHOUT ROWID;

-- How far callback subscribers have read the journal, and the deliveries that are exceptions.
CREATE TABLE cursor (
    partition  INTEGER NOT NULL,
    subscriber TEXT    NOT NULL,
    seq        INTEGER NOT NULL,
    entry      INTEGER NOT NULL,
    PRIMARY KEY (partition, subscriber)
) STRICT, WITHOUT ROWID;

CREATE TABLE lane (
    partition  INTEGER NOT NULL,
    subscriber TEXT    NOT NULL,
    item       INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    entry      INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    attempts   INTEGER NOT NULL,
    next_at    INTEGER,
    error      TEXT,
    PRIMARY KEY (partition, subscriber, item, seq, entry)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letter (
    partition    INTEGER NOT NULL,
    id           TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    origin       TEXT    NOT NULL,
    external_id  TEXT,
    item         INTEGER,
    payload      BLOB    NOT NULL,
    content_type TEXT,
    code         TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    at           INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    resolution   TEXT,
    resolved_at  INTEGER,
    PRIMARY KEY (partition, id)
) STRICT;

CREATE INDEX dead_letter_at ON dead_letter (partition, at, id);

CREATE TABLE config (
    partition INTEGER NOT NULL,
    version   INTEGER NOT NULL,
    json      BLOB    NOT NULL,
    sha256    BLOB    NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (partition, version)
) STRICT;
