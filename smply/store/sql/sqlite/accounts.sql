-- get_revision
-- How often somebody's rights were taken away or changed.
SELECT number FROM revision;

-- has_secrets
-- Whether a sealed secret is kept.
SELECT EXISTS (SELECT 1 FROM keys)
  OR EXISTS (SELECT 1 FROM identity_providers WHERE key IS NOT NULL);

-- insert_org
-- Keep an org with its owner.
INSERT INTO orgs (id, owner, name, created_at) VALUES (?, ?, ?, ?);

-- set_served
-- Note that a server has made what an org needs to be served, once.
UPDATE orgs SET served = 1 WHERE id = ? AND served = 0;

-- list_orgs
-- A page of the orgs of a person.
SELECT o.row, o.id, o.name, m.role, o.created_at
FROM members m JOIN orgs o ON o.id = m.org
WHERE m.user = ? AND o.row > ? ORDER BY o.row LIMIT ?;

-- insert_user
-- Keep a person.
INSERT INTO users (id, email, created_at) VALUES (?, ?, ?);

-- set_email
-- Note the address of a person who has none yet.
UPDATE users SET email = ?2 WHERE id = ?1 AND email IS NULL;

-- insert_member
-- Make a person a member of an org, unless they are one.
INSERT INTO members (org, user, role, created_at) VALUES (?, ?, ?, ?)
ON CONFLICT (org, user) DO NOTHING;

-- get_email
-- The address of a person, if it is known.
SELECT email FROM users WHERE id = ?;

-- get_role
-- What a person is in an org.
SELECT role FROM members WHERE org = ? AND user = ?;

-- list_members
-- A page of the members of an org.
SELECT u.row, u.id, u.email, m.role, m.created_at
FROM members m JOIN users u ON u.id = m.user
WHERE m.org = ? AND u.row > ? ORDER BY u.row LIMIT ?;

-- set_role
-- Change what a member is.
UPDATE members SET role = ?3 WHERE org = ?1 AND user = ?2;

-- delete_member
-- Let a member go.
DELETE FROM members WHERE org = ? AND user = ?;

-- has_admin
-- Whether an org has an admin.
SELECT EXISTS (SELECT 1 FROM members WHERE org = ? AND role = 'admin');

-- insert_access_token
-- Keep a token of a person.
INSERT INTO access_tokens (id, user, name, sha256, created_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?);

-- find_access_token
-- The token of this hash.
SELECT row, id, user, name, created_at, expires_at, used_at FROM access_tokens WHERE sha256 = ?;

-- list_access_tokens
-- A page of the tokens of a person.
SELECT row, id, user, name, created_at, expires_at, used_at FROM access_tokens
WHERE user = ? AND row > ? ORDER BY row LIMIT ?;

-- touch_access_token
-- Note when a token was last used.
UPDATE access_tokens SET used_at = ?2 WHERE id = ?1;

-- delete_access_token
-- Take a token away from its person.
DELETE FROM access_tokens WHERE user = ? AND id = ?;

-- insert_invitation
-- Keep an invitation.
INSERT INTO invitations (id, org, email, role, sha256, created_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- find_invitation
-- The invitation of this hash.
SELECT row, id, org, email, role, created_at, expires_at FROM invitations WHERE sha256 = ?;

-- list_invitations
-- A page of the open invitations of an org.
SELECT row, id, org, email, role, created_at, expires_at FROM invitations
WHERE org = ? AND expires_at > ? AND row > ? ORDER BY row LIMIT ?;

-- delete_invitation
-- Take an invitation back, or note that it is accepted.
DELETE FROM invitations WHERE org = ? AND id = ?;

-- insert_key
-- Keep a key.
INSERT INTO keys (id, org, name, scopes, secret, created_at) VALUES (?, ?, ?, ?, ?, ?);

-- get_key
-- One key, of whichever org.
SELECT row, id, org, name, scopes, secret, created_at FROM keys WHERE id = ?;

-- list_keys
-- A page of the keys of an org.
SELECT row, id, org, name, scopes, secret, created_at FROM keys
WHERE org = ? AND row > ? ORDER BY row LIMIT ?;

-- delete_key
-- Forget a key; what it has signed is worth nothing from now on.
DELETE FROM keys WHERE org = ? AND id = ?;

-- put_identity_provider
-- Keep an identity provider, or change the one of that pair (S118).
INSERT INTO identity_providers (org, aud, iss, algs, key, jwks_url, mapping)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (org, aud, iss) DO UPDATE SET
  algs = excluded.algs, key = excluded.key, jwks_url = excluded.jwks_url,
  mapping = excluded.mapping;

-- find_identity_provider
-- The identity provider of exactly this pair.
SELECT row, org, aud, iss, algs, key, jwks_url, mapping FROM identity_providers
WHERE org = ? AND aud = ? AND iss = ?;

-- list_identity_providers
-- A page of the identity providers of an org.
SELECT row, org, aud, iss, algs, key, jwks_url, mapping FROM identity_providers
WHERE org = ? AND row > ? ORDER BY row LIMIT ?;

-- delete_identity_provider
-- Forget an identity provider.
DELETE FROM identity_providers WHERE org = ? AND aud = ? AND iss = ?;

-- put_token_provider
-- Keep a token provider, or change the one of that service (S119), if the org has such a key.
INSERT INTO token_providers (org, service, key, mapping)
SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM keys WHERE id = ?3 AND org = ?1)
ON CONFLICT (org, service) DO UPDATE SET key = excluded.key, mapping = excluded.mapping;

-- find_token_provider
-- The token provider of a service.
SELECT row, org, service, key, mapping FROM token_providers WHERE org = ? AND service = ?;

-- list_token_providers
-- A page of the token providers of an org.
SELECT row, org, service, key, mapping FROM token_providers
WHERE org = ? AND row > ? ORDER BY row LIMIT ?;

-- delete_token_provider
-- Forget a token provider.
DELETE FROM token_providers WHERE org = ? AND service = ?;

-- insert_audit
-- Note who did what.
INSERT INTO audit (org, ts, who, action, what, address, request) VALUES (?, ?, ?, ?, ?, ?, ?);

-- list_audit
-- A page of what was done in an org.
SELECT row, org, ts, who, action, what, address, request FROM audit
WHERE org = ? AND row > ? ORDER BY row LIMIT ?;
