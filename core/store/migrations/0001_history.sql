-- What is derived from the run folders. Every row here can be made again by ingest.

-- Names that repeat in every run (metrics, config keys), once.
CREATE TABLE names (
  id   INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;

-- Narrow on purpose: listing and filtering scan it. starred, archived, trashed_at, colour and name are copies of what
-- user_runs says, kept in step by whoever writes either.
CREATE TABLE runs (
  rid           INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid          TEXT NOT NULL UNIQUE,
  name          TEXT NOT NULL DEFAULT '',
  config_name   TEXT NOT NULL DEFAULT '',
  status        TEXT NOT NULL DEFAULT 'queued',
  status_detail TEXT NOT NULL DEFAULT '',
  method        TEXT NOT NULL DEFAULT '',
  rank          INTEGER,
  alpha         REAL,
  model         TEXT NOT NULL DEFAULT '',
  data          TEXT NOT NULL DEFAULT '',
  task          TEXT NOT NULL DEFAULT '',
  seed          INTEGER NOT NULL DEFAULT 0,
  created       REAL,
  started       REAL,
  finished      REAL,
  step          INTEGER NOT NULL DEFAULT 0,
  total_steps   INTEGER NOT NULL DEFAULT 0,
  tokens        INTEGER NOT NULL DEFAULT 0,
  seconds       REAL,
  eta           REAL,
  peak_memory   INTEGER NOT NULL DEFAULT 0,
  trainable     INTEGER NOT NULL DEFAULT 0,
  parameters    INTEGER NOT NULL DEFAULT 0,
  best_metric   TEXT NOT NULL DEFAULT '',
  best_value    REAL,
  best_step     INTEGER NOT NULL DEFAULT -1,
  train_loss    REAL,
  eval_loss     REAL,
  lives         INTEGER NOT NULL DEFAULT 0,
  starred       INTEGER NOT NULL DEFAULT 0,
  archived      INTEGER NOT NULL DEFAULT 0,
  trashed_at    REAL,
  colour        TEXT NOT NULL DEFAULT '',
  host          TEXT NOT NULL DEFAULT '',
  version       TEXT NOT NULL DEFAULT '',
  device        TEXT NOT NULL DEFAULT '',
  compute_dtype TEXT NOT NULL DEFAULT '',
  parent        TEXT NOT NULL DEFAULT '',
  parent_step   INTEGER NOT NULL DEFAULT 0,
  folder        TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX runs_by_created ON runs (created);

-- Everything plain words in the filter box look at, case-folded.
CREATE TABLE run_search (
  rid    INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
  folded TEXT NOT NULL
) STRICT;

CREATE TABLE run_sparklines (
  rid    INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
  points BLOB NOT NULL
) STRICT;

-- Where ingest goes on. complete: an end was seen (or the process is gone), nothing more is expected.
CREATE TABLE run_cursors (
  rid      INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
  position INTEGER NOT NULL DEFAULT 0,
  sequence INTEGER NOT NULL DEFAULT 0,
  life     INTEGER NOT NULL DEFAULT 0,
  complete INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE run_configs (
  rid  INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
  body TEXT NOT NULL
) STRICT;

-- The config flattened to dotted keys, for filters and groups.
CREATE TABLE run_config_values (
  name_id INTEGER NOT NULL REFERENCES names,
  rid     INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  text    TEXT NOT NULL,
  number  REAL,
  PRIMARY KEY (name_id, rid)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_config_values_by_run ON run_config_values (rid);

CREATE TABLE run_summaries (
  rid  INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
  body TEXT NOT NULL
) STRICT;

-- Summaries of the series that belong to the run as a whole (not to single sites), for filters, sorting and tables.
CREATE TABLE run_metrics (
  name_id   INTEGER NOT NULL REFERENCES names,
  rid       INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  count     INTEGER NOT NULL,
  first     REAL,
  last      REAL,
  best      REAL,
  min       REAL,
  max       REAL,
  best_step INTEGER NOT NULL,
  last_step INTEGER NOT NULL,
  PRIMARY KEY (name_id, rid)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_metrics_by_run ON run_metrics (rid);

CREATE TABLE series (
  sid        INTEGER PRIMARY KEY AUTOINCREMENT,
  rid        INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  name_id    INTEGER NOT NULL REFERENCES names,
  count      INTEGER NOT NULL DEFAULT 0,
  finite     INTEGER NOT NULL DEFAULT 0,
  first_step INTEGER NOT NULL DEFAULT 0,
  last_step  INTEGER NOT NULL DEFAULT 0,
  first      REAL,
  last       REAL,
  min        REAL,
  max        REAL,
  min_step   INTEGER NOT NULL DEFAULT -1,
  max_step   INTEGER NOT NULL DEFAULT -1,
  UNIQUE (rid, name_id)
) STRICT;

-- The newest points of a series (fewer than 64), unpacked, so that following a live run rewrites little.
CREATE TABLE series_tails (
  sid    INTEGER PRIMARY KEY REFERENCES series ON DELETE CASCADE,
  points BLOB NOT NULL
) STRICT;

-- Where points stand: step, epoch, tokens and seconds of a chunk's points. Series logged together share one block.
CREATE TABLE axis_blocks (
  aid           INTEGER PRIMARY KEY AUTOINCREMENT,
  rid           INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  hash          INTEGER NOT NULL,
  refs          INTEGER NOT NULL,
  count         INTEGER NOT NULL,
  first_step    INTEGER NOT NULL,
  last_step     INTEGER NOT NULL,
  first_epoch   REAL NOT NULL,
  last_epoch    REAL NOT NULL,
  first_tokens  INTEGER NOT NULL,
  last_tokens   INTEGER NOT NULL,
  first_seconds REAL NOT NULL,
  last_seconds  REAL NOT NULL,
  ends256       BLOB NOT NULL,
  ends16        BLOB NOT NULL,
  points        BLOB NOT NULL
) STRICT;
CREATE INDEX axis_blocks_by_hash ON axis_blocks (rid, hash);

-- Packed values of points [start, start + count); count is 64, 512 or 4096 and start a multiple of it. The row's own
-- columns and the two block levels are the series' pyramid.
CREATE TABLE series_chunks (
  cid        INTEGER PRIMARY KEY AUTOINCREMENT,
  sid        INTEGER NOT NULL REFERENCES series ON DELETE CASCADE,
  start      INTEGER NOT NULL,
  count      INTEGER NOT NULL,
  aid        INTEGER NOT NULL REFERENCES axis_blocks,
  finite     INTEGER NOT NULL,
  first      REAL,
  last       REAL,
  min        REAL,
  max        REAL,
  sum        REAL NOT NULL,
  min_step   INTEGER NOT NULL,
  max_step   INTEGER NOT NULL,
  blocks256  BLOB NOT NULL,
  blocks16   BLOB NOT NULL,
  points     BLOB NOT NULL,
  UNIQUE (sid, start)
) STRICT;
CREATE INDEX series_chunks_by_axis ON series_chunks (aid);

CREATE TABLE run_log (
  rid      INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  sequence INTEGER NOT NULL,
  time     REAL NOT NULL,
  step     INTEGER NOT NULL,
  level    INTEGER NOT NULL,
  kind     TEXT NOT NULL,
  text     TEXT NOT NULL,
  PRIMARY KEY (rid, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE samples (
  rid      INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  sequence INTEGER NOT NULL,
  time     REAL NOT NULL,
  step     INTEGER NOT NULL,
  prompt   TEXT NOT NULL,
  text     TEXT NOT NULL,
  PRIMARY KEY (rid, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
  rid      INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  path     TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  time     REAL NOT NULL,
  step     INTEGER NOT NULL,
  bytes    INTEGER NOT NULL,
  reason   TEXT NOT NULL,
  best     INTEGER NOT NULL,
  PRIMARY KEY (rid, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE changes (
  rid       INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  sequence  INTEGER NOT NULL,
  time      REAL NOT NULL,
  step      INTEGER NOT NULL,
  key       TEXT NOT NULL,
  old_value TEXT NOT NULL,
  new_value TEXT NOT NULL,
  PRIMARY KEY (rid, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE sites (
  rid      INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  position INTEGER NOT NULL,
  name     TEXT NOT NULL,
  kind     TEXT NOT NULL,
  layer    INTEGER NOT NULL,
  rows     INTEGER NOT NULL,
  columns  INTEGER NOT NULL,
  rank     INTEGER NOT NULL,
  PRIMARY KEY (rid, position)
) STRICT, WITHOUT ROWID;
