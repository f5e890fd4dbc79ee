-- get_owner
-- The first org of the file and its owner.
SELECT id, owner FROM orgs ORDER BY row LIMIT 1;

-- insert_machine
-- Make a machine, unless its org has one of that name.
INSERT INTO machines (org, name, indexes, created_at) VALUES (?, ?, ?, ?)
ON CONFLICT (org, name) DO NOTHING;

-- get_machine
-- One machine by name, with its current version if it has one.
SELECT m.id, m.org, m.name, m.created_at, m.indexes,
       v.row, v.id, v.org, v.machine, v.created_at, v.client_info, v.xstate, v.adapter,
       v.uploaded_sha256, v.code_sha256, v.uploaded_bytes, v.gzipped_bytes,
       v.selectors, v.exports, v.definition
FROM machines m LEFT JOIN versions v ON v.id = m.current
WHERE m.org = ? AND m.name = ?;

-- list_machines
-- A page of an org's machines in the order they were made.
SELECT m.id, m.org, m.name, m.created_at, m.indexes,
       v.row, v.id, v.org, v.machine, v.created_at, v.client_info, v.xstate, v.adapter,
       v.uploaded_sha256, v.code_sha256, v.uploaded_bytes, v.gzipped_bytes,
       v.selectors, v.exports, v.definition
FROM machines m LEFT JOIN versions v ON v.id = m.current
WHERE m.org = ? AND m.id > ? ORDER BY m.id LIMIT ?;

-- insert_upload
-- Begin the three steps of a version (S7), if its machine is there.
INSERT INTO uploads
  (id, org, machine, version, secret_sha256, created_at, code_sha256, finalized)
SELECT ?1, ?2, id, ?4, ?5, ?6, ?7, ?8 FROM machines WHERE id = ?3;

-- get_upload
-- One upload, of one org or (NULL) of any.
SELECT id, org, machine, version, secret_sha256, created_at, code_sha256, finalized
FROM uploads WHERE id = ?1 AND (?2 IS NULL OR org = ?2);

-- get_upload_org
-- The org of an upload that still takes code: one whose version is not finalized.
SELECT org FROM uploads WHERE id = ? AND finalized = 0;

-- set_upload_code
-- Note which code an upload has brought.
UPDATE uploads SET code_sha256 = ? WHERE id = ?;

-- finalize_upload
-- Mark an upload as finalized, once.
UPDATE uploads SET finalized = 1 WHERE id = ? AND finalized = 0;

-- insert_code
-- Keep a code by its sha256, unless it is kept already.
INSERT INTO codes (org, sha256, code) VALUES (?, ?, ?) ON CONFLICT (org, sha256) DO NOTHING;

-- get_code
-- The code of a sha256.
SELECT code FROM codes WHERE org = ? AND sha256 = ?;

-- insert_version
-- Keep a version.
INSERT INTO versions
  (id, org, machine, created_at, client_info, xstate, adapter, uploaded_sha256, code_sha256,
   uploaded_bytes, gzipped_bytes, selectors, exports, definition)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- set_current
-- Make a version the current one of its machine (S2).
UPDATE machines SET current = ? WHERE id = ?;

-- choose_current
-- Make a version the current one of its machine, if it is one of its versions (S2).
UPDATE machines SET current = ?2
WHERE id = ?1 AND EXISTS (SELECT 1 FROM versions WHERE id = ?2 AND machine = ?1);

-- has_instances
-- Whether a machine has instances (S162).
SELECT EXISTS (SELECT 1 FROM instances WHERE machine = ?);

-- delete_codes
-- Forget the codes of a machine that no other machine of its org has too.
WITH
  own AS (SELECT org FROM machines WHERE id = ?1),
  used (machine, sha256) AS (
    SELECT machine, code_sha256 FROM versions WHERE org = (SELECT org FROM own)
    UNION SELECT machine, uploaded_sha256 FROM versions WHERE org = (SELECT org FROM own)
    UNION SELECT machine, code_sha256 FROM uploads
          WHERE org = (SELECT org FROM own) AND code_sha256 IS NOT NULL)
DELETE FROM codes
WHERE org = (SELECT org FROM own)
  AND sha256 IN (SELECT sha256 FROM used WHERE machine = ?1)
  AND sha256 NOT IN (SELECT sha256 FROM used WHERE machine <> ?1);

-- delete_uploads
-- Forget what was uploaded for a machine.
DELETE FROM uploads WHERE machine = ?;

-- delete_versions
-- Forget the versions of a machine (S161).
DELETE FROM versions WHERE machine = ?;

-- delete_machine
-- Forget a machine.
DELETE FROM machines WHERE id = ?;

-- get_version
-- One version by id.
SELECT row, id, org, machine, created_at, client_info, xstate, adapter,
       uploaded_sha256, code_sha256, uploaded_bytes, gzipped_bytes, selectors, exports, definition
FROM versions WHERE id = ? AND org = ?;

-- list_versions
-- A page of a machine's versions, oldest first.
SELECT row, id, org, machine, created_at, client_info, xstate, adapter,
       uploaded_sha256, code_sha256, uploaded_bytes, gzipped_bytes, selectors, exports, definition
FROM versions WHERE org = ? AND machine = ? AND row > ? ORDER BY row LIMIT ?;

-- insert_instance
-- Make an instance at seq 1 on a version of its machine, unless there is one of that name.
INSERT INTO instances
  (org, machine, name, created_at, seq, ts, value, context, rest, answer, tags, done, version)
SELECT ?1, ?2, ?3, ?4, 1, ?5, ?6, ?7, ?8, ?9, ?10, ?11, id
FROM versions WHERE id = ?12 AND machine = ?2
ON CONFLICT (machine, name) DO NOTHING;

-- is_version_of
-- Whether a version is one of a machine.
SELECT EXISTS (SELECT 1 FROM versions WHERE id = ? AND machine = ?);

-- set_status
-- Let an instance run, or pause it (S158).
UPDATE instances SET status = ?2 WHERE id = ?1;

-- delete_instance
-- Forget an instance; its name is free from now on (Q53).
DELETE FROM instances WHERE id = ?;

-- insert_removal
-- Note that the history of a deleted instance is still there.
INSERT INTO removals (instance) VALUES (?);

-- next_removal
-- A deleted instance whose history is still there.
SELECT instance FROM removals LIMIT 1;

-- trim_history
-- Remove the oldest transitions of a deleted instance, so many of them at most.
DELETE FROM transitions WHERE instance = ?1 AND seq <= (
  SELECT max(seq) FROM (
    SELECT seq FROM transitions WHERE instance = ?1 ORDER BY seq LIMIT ?2));

-- delete_removal
-- Note that nothing is left of a deleted instance.
DELETE FROM removals WHERE instance = ?;

-- move_instance
-- Move an instance on, if it runs at that seq, unclaimed, and is still owed what the step takes.
UPDATE instances
SET seq = ?3, ts = ?4, value = ?5, context = ?6, rest = ?7, answer = ?8, tags = ?9, done = ?10,
    version = ?11
WHERE id = ?1 AND seq = ?2 AND status = 'running' AND claimed_until IS NULL
  AND (?12 IS NULL OR EXISTS (SELECT 1 FROM deliveries WHERE id = ?12 AND instance = ?1));

-- free_instance
-- Take away a claim from an instance at that seq: one's own, or one that has lapsed.
UPDATE instances SET claimed_by = NULL, claimed_until = NULL
WHERE id = ?1 AND seq = ?2
  AND (claimed_by = ?3 OR claimed_until NOT BETWEEN ?4 + 1 AND ?4 + ?5);

-- claim_instance
-- Keep others from moving an instance until then, unless another's claim on it has not lapsed.
UPDATE instances SET claimed_by = ?2, claimed_until = ?4
WHERE id = ?1 AND (claimed_until IS NULL OR claimed_by = ?2
  OR claimed_until NOT BETWEEN ?3 + 1 AND ?3 + ?5);

-- stands
-- Whether an instance still runs and stands at that seq.
SELECT 1 FROM instances WHERE id = ? AND seq = ? AND status = 'running';

-- insert_transition
-- Append a transition to the history.
INSERT INTO transitions
  (instance, seq, ts, event, auth, cause, cause_id, version, value, rest, context, patch)
VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT row FROM versions WHERE id = ?), ?, ?, ?, ?);

-- take_delivery
-- Remove the delivery that a step makes.
DELETE FROM deliveries WHERE id = ? AND instance = ?;

-- set_delivery
-- Owe an event to an instance, in its org.
INSERT INTO deliveries (org, instance, due, key, event, cause)
SELECT org, id, ?2, ?3, ?4, ?5 FROM instances WHERE id = ?1;

-- cancel_delivery
-- Forget the newest delivery of a key (Q65).
DELETE FROM deliveries WHERE id =
  (SELECT max(id) FROM deliveries WHERE instance = ? AND key = ? AND parked IS NULL);

-- clear_deliveries
-- Forget all that is owed to an instance.
DELETE FROM deliveries WHERE instance = ?;

-- fail_delivery
-- Count a failed attempt once and say when the next one is, or park the delivery with its reason.
UPDATE deliveries
SET attempts = attempts + 1, last_error = ?3,
    due = iif(?5, due, ?4), parked = iif(?5, ?3, NULL)
WHERE id = ?1 AND attempts = ?2;

-- get_instance
-- One instance by the names of its machine and of itself.
SELECT i.id, i.org, i.machine, i.name, i.version, i.status, i.created_at, i.seq, i.ts,
       i.value, i.context, i.rest, i.answer, i.tags, i.claimed_by, i.claimed_until, i.done
FROM machines m JOIN instances i ON i.machine = m.id
WHERE m.org = ? AND m.name = ? AND i.name = ?;

-- list_instances
-- A page of a machine's instances in the order they were made, without their texts.
SELECT id, name, version, status, created_at
FROM instances WHERE org = ? AND machine = ? AND id > ? ORDER BY id LIMIT ?;

-- list_transitions
-- A page of an instance's history, oldest first (S41).
SELECT t.seq, t.ts, t.event, t.value, t.auth, t.cause, t.cause_id, v.id, t.rest,
       t.context, t.patch
FROM transitions t JOIN versions v ON v.row = t.version
WHERE t.instance = ? AND t.seq > ? ORDER BY t.seq LIMIT ?;

-- list_since_whole
-- The transitions up to a seq, from the last one before it that keeps its whole context.
SELECT t.seq, t.ts, t.event, t.value, t.auth, t.cause, t.cause_id, v.id, t.rest,
       t.context, t.patch
FROM transitions t JOIN versions v ON v.row = t.version
WHERE t.instance = ?1 AND t.seq <= ?2 AND t.seq >=
  (SELECT seq FROM transitions WHERE instance = ?1 AND seq <= ?2 AND context IS NOT NULL
   ORDER BY seq DESC LIMIT 1)
ORDER BY t.seq;

-- due_deliveries
-- What an instance is owed by now, in the order of delivery.
SELECT id, instance, due, key, event, attempts, last_error, parked, cause FROM deliveries
WHERE instance = ? AND due <= ? AND parked IS NULL ORDER BY due, id LIMIT ?;

-- next_due
-- When an instance is owed its next event.
SELECT min(due) FROM deliveries WHERE instance = ? AND parked IS NULL;

-- due_instances
-- Running instances that are owed something by now, the longest overdue first; one may come twice.
SELECT i.id, i.org, m.name, i.name
FROM deliveries d JOIN instances i ON i.id = d.instance JOIN machines m ON m.id = i.machine
WHERE d.due <= ? AND d.parked IS NULL AND d.held = 0 ORDER BY d.due LIMIT ?;

-- first_due_after
-- When the next delivery is due that is not by now.
SELECT min(due) FROM deliveries WHERE due > ? AND parked IS NULL AND held = 0;

-- count_deliveries
-- How many deliveries are due by now, and how many were parked.
SELECT (SELECT count(*) FROM deliveries WHERE due <= ? AND parked IS NULL AND held = 0),
       (SELECT count(*) FROM deliveries WHERE parked IS NOT NULL);

-- hold_deliveries
-- Hold what an instance is owed, or let it go on.
UPDATE deliveries SET held = ?2 WHERE instance = ?1;

-- add_usage
-- Add to what an org has used in a month.
INSERT INTO usage (org, month, transitions, reads) VALUES (?, ?, ?, ?)
ON CONFLICT (org, month) DO UPDATE SET
  transitions = transitions + excluded.transitions, reads = reads + excluded.reads;

-- list_usage
-- What an org has used, newest month first.
SELECT org, month, transitions, reads FROM usage WHERE org = ? ORDER BY month DESC;

-- insert_log
-- Keep what machine code has printed.
INSERT INTO logs (org, ts, machine, instance, version, stream, text) VALUES (?, ?, ?, ?, ?, ?, ?);

-- list_logs
-- What was printed after one time and until another, in whole milliseconds, so many or a few more.
WITH found AS (
  SELECT row, ts, machine, instance, version, stream, text FROM logs
  WHERE org = ?1 AND ts > ?2 AND ts <= ?3 AND (?4 IS NULL OR machine = ?4)
    AND (?5 IS NULL OR instance = ?5) AND (?6 IS NULL OR version = ?6))
SELECT ts, machine, instance, version, stream, text FROM found
WHERE ts <= (SELECT max(ts) FROM (SELECT ts FROM found ORDER BY ts LIMIT ?7)) ORDER BY ts, row;

-- trim_logs
-- Forget what was printed before a time, so many rows of it at most.
DELETE FROM logs WHERE row IN (SELECT row FROM logs WHERE ts < ? ORDER BY ts LIMIT ?);

-- list_deliveries
-- All that an instance is owed, parked ones too.
SELECT id, instance, due, key, event, attempts, last_error, parked, cause FROM deliveries
WHERE instance = ? ORDER BY due, id;

-- overdue_elsewhere
-- How many other running instances of an org are owed something by now, and which one longest.
WITH overdue AS (
  SELECT i.id, i.name, i.machine, d.due, d.id AS delivery
  FROM deliveries d JOIN instances i ON i.id = d.instance
  WHERE d.due <= ?3 AND d.parked IS NULL AND d.held = 0 AND d.org = ?1 AND i.status = 'running'
    AND i.id IS NOT ?2
)
SELECT (SELECT count(DISTINCT id) FROM overdue), m.name, o.name
FROM overdue o JOIN machines m ON m.id = o.machine
ORDER BY o.due, o.delivery LIMIT 1;

-- count_instances
-- How many instances there are, of all orgs.
SELECT count(*) FROM instances;

-- has_table
-- A row if there is a table of that name.
SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?;
