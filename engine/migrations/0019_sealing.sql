-- Sealing by keys, whatever the tables looked like when a connection planned it.

-- Planned like the statements of a committer: rows are looked up by their keys. A connection that had planned this while the
-- ledger was empty read every batch there is for each one that it sealed, until statistics were gathered anew: a quarter of what
-- the database did for small batches after half a minute.
alter function payplane.seal_batches(integer)
    set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off;
