-- A page of a machine's instances is read in order, instead of being sorted from all of them; the
-- rows of this index never change, so that an event costs nothing more.
CREATE INDEX instances_in_order ON instances (machine, id);
