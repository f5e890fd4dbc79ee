-- Who may come in: people and their tokens, members and invitations of orgs, keys, and where the
-- tokens of others are taken for ours.

ALTER TABLE users ADD COLUMN email TEXT;
ALTER TABLE orgs ADD COLUMN name TEXT NOT NULL DEFAULT 'local';
-- Whether a server has ever made what an org needs to be served.
ALTER TABLE orgs ADD COLUMN served INTEGER NOT NULL DEFAULT 0;

CREATE TABLE members (
  org BLOB NOT NULL REFERENCES orgs (id),
  user BLOB NOT NULL REFERENCES users (id),
  role TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (org, user)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_by_user ON members (user);

INSERT INTO members (org, user, role, created_at) SELECT id, owner, 'admin', created_at FROM orgs;

CREATE TABLE access_tokens (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  id BLOB NOT NULL UNIQUE,
  user BLOB NOT NULL REFERENCES users (id),
  name TEXT NOT NULL,
  sha256 BLOB NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  used_at INTEGER
) STRICT;

CREATE INDEX access_tokens_of ON access_tokens (user);

CREATE TABLE invitations (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  id BLOB NOT NULL UNIQUE,
  org BLOB NOT NULL REFERENCES orgs (id),
  email TEXT NOT NULL,
  role TEXT NOT NULL,
  sha256 BLOB NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX invitations_of ON invitations (org);

-- A secret is sealed with the `key` file of the data directory: HS256 needs it as it is.
CREATE TABLE keys (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  id BLOB NOT NULL UNIQUE,
  org BLOB NOT NULL REFERENCES orgs (id),
  name TEXT NOT NULL,
  scopes TEXT NOT NULL,
  secret BLOB NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX keys_of ON keys (org);

CREATE TABLE identity_providers (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  org BLOB NOT NULL REFERENCES orgs (id),
  aud TEXT NOT NULL,
  iss TEXT NOT NULL,
  algs TEXT NOT NULL,
  key BLOB,
  jwks_url TEXT,
  mapping TEXT NOT NULL,
  UNIQUE (org, aud, iss)
) STRICT;

CREATE TABLE token_providers (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  org BLOB NOT NULL REFERENCES orgs (id),
  service TEXT NOT NULL,
  key BLOB NOT NULL,
  mapping TEXT NOT NULL,
  UNIQUE (org, service)
) STRICT;

CREATE TABLE audit (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  org BLOB NOT NULL,
  ts INTEGER NOT NULL,
  who TEXT NOT NULL,
  action TEXT NOT NULL,
  what TEXT NOT NULL,
  address TEXT NOT NULL,
  request TEXT NOT NULL
) STRICT;

CREATE INDEX audit_of ON audit (org, row);

CREATE TABLE usage (
  org BLOB NOT NULL,
  month TEXT NOT NULL,
  transitions INTEGER NOT NULL,
  reads INTEGER NOT NULL,
  PRIMARY KEY (org, month)
) STRICT, WITHOUT ROWID;

CREATE TABLE logs (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  org BLOB NOT NULL,
  ts INTEGER NOT NULL,
  machine TEXT NOT NULL,
  instance TEXT NOT NULL,
  version BLOB NOT NULL,
  stream TEXT NOT NULL,
  text TEXT NOT NULL
) STRICT;

CREATE INDEX logs_of ON logs (org, ts);
CREATE INDEX logs_by_age ON logs (ts);

-- Rises whenever somebody may do less than before, or other than before: what a process remembers
-- of tokens it has verified is true as long as this stands.
CREATE TABLE revision (number INTEGER NOT NULL) STRICT;
INSERT INTO revision VALUES (0);
CREATE TRIGGER keys_gone AFTER DELETE ON keys
BEGIN UPDATE revision SET number = number + 1; END;
CREATE TRIGGER access_tokens_gone AFTER DELETE ON access_tokens
BEGIN UPDATE revision SET number = number + 1; END;
CREATE TRIGGER members_gone AFTER DELETE ON members
BEGIN UPDATE revision SET number = number + 1; END;
CREATE TRIGGER members_new AFTER INSERT ON members
BEGIN UPDATE revision SET number = number + 1; END;
CREATE TRIGGER members_changed AFTER UPDATE ON members
BEGIN UPDATE revision SET number = number + 1; END;

-- A paused instance keeps what it is owed (S159), held, so that whoever looks for what is due need
-- not look at it again and again.
ALTER TABLE deliveries ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
UPDATE deliveries SET held = 1
WHERE instance IN (SELECT id FROM instances WHERE status <> 'running');
DROP INDEX deliveries_due;
CREATE INDEX deliveries_parked ON deliveries (id) WHERE parked IS NOT NULL;
CREATE INDEX deliveries_due ON deliveries (due) WHERE parked IS NULL AND held = 0;
