-- What exists nowhere else: the user's own words about runs, views, settings, the queue and computed spectra. Keyed by
-- the run's uuid and bound to no derived row, so that a rebuild leaves it alone.

CREATE TABLE user_runs (
  uuid       TEXT PRIMARY KEY,
  name       TEXT NOT NULL DEFAULT '',
  note       TEXT NOT NULL DEFAULT '',
  colour     TEXT NOT NULL DEFAULT '',
  starred    INTEGER NOT NULL DEFAULT 0,
  archived   INTEGER NOT NULL DEFAULT 0,
  trashed_at REAL,
  folder     TEXT NOT NULL DEFAULT '',
  changed    REAL NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE tags (
  uuid TEXT NOT NULL,
  tag  TEXT NOT NULL,
  PRIMARY KEY (uuid, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE saved_views (
  scope    TEXT NOT NULL,
  name     TEXT NOT NULL,
  body     TEXT NOT NULL,
  position INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (scope, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
  key  TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  kind      TEXT NOT NULL,
  name      TEXT NOT NULL,
  config    TEXT NOT NULL,
  slot      TEXT NOT NULL,
  run_uuid  TEXT NOT NULL DEFAULT '',
  grouping  TEXT NOT NULL DEFAULT '',
  state     TEXT NOT NULL CHECK (state IN ('queued', 'held', 'running', 'done', 'failed', 'cancelled')),
  position  INTEGER NOT NULL,
  attempts  INTEGER NOT NULL DEFAULT 0,
  created   REAL NOT NULL,
  started   REAL NOT NULL DEFAULT 0,
  finished  REAL NOT NULL DEFAULT 0,
  cancel    INTEGER NOT NULL DEFAULT 0,
  worker    TEXT NOT NULL DEFAULT '',
  detail    TEXT NOT NULL DEFAULT '',
  progress  REAL NOT NULL DEFAULT -1,
  error     TEXT NOT NULL DEFAULT '',
  result    TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX jobs_waiting ON jobs (position) WHERE state IN ('queued', 'held');

CREATE TABLE spectra (
  owner  TEXT NOT NULL,
  step   INTEGER NOT NULL,
  site   TEXT NOT NULL,
  name   TEXT NOT NULL,
  dtype  TEXT NOT NULL,
  shape  TEXT NOT NULL,
  meta   TEXT NOT NULL,
  saved  REAL NOT NULL,
  packed BLOB NOT NULL,
  UNIQUE (owner, step, site, name)
) STRICT;
