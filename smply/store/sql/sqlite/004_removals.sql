-- Deleted instances whose history is still being removed, a part at a time, so that a long one
-- keeps nobody from writing. Their rows in instances are gone already.
CREATE TABLE removals (
  instance INTEGER PRIMARY KEY
) STRICT;
