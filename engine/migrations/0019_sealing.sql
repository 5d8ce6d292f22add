-- Sealing by keys, whatever the tables looked like when a connection planned it.

-- As before (2), and planned like the statements of a committer: rows are looked up by their keys. A connection that had planned
-- this while the ledger was empty read every batch there is for each one that it sealed, until statistics were gathered anew: a
-- quarter of what the database did for small batches after half a minute.
create or replace function payplane.seal_batches(p_max integer)
returns integer
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off
as $$
declare
    v_seal    bigint;
    v_link    bytea;
    v_batches bigint[];
    v_roots   bytea[];
    v_links   bytea[] := '{}';
begin
    -- Idle means idle: locking a row is a write.
    if not exists (select 1 from payplane.unsealed) then
        return 0;
    end if;
    select h.seal, h.link into v_seal, v_link from payplane.seal_head h for update skip locked;
    if not found then
        return 0;
    end if;
    select array_agg(u.batch_id order by u.batch_id), array_agg(b.root order by u.batch_id)
    into v_batches, v_roots
    from (select batch_id from payplane.unsealed order by batch_id limit p_max) u
    cross join lateral (select b.root from payplane.batches b where b.batch_id = u.batch_id offset 0) b;
    if v_batches is null then
        return 0;
    end if;
    for place in 1 .. cardinality(v_batches) loop
        -- payplane_ledger::chain_link computes the same.
        v_link := sha256(
            int8send(17) || 'payplane.chain.v1'::bytea || int8send(32) || v_link || int8send(8) || int8send(v_seal + place)
            || int8send(8) || int8send(v_batches[place]) || int8send(32) || v_roots[place]
        );
        v_links[place] := v_link;
    end loop;
    insert into payplane.seals (seal, batch_id, link, sealed_us)
    select v_seal + s.place, s.batch_id, s.link, (extract(epoch from clock_timestamp()) * 1000000)::bigint
    from unnest(v_batches, v_links) with ordinality as s (batch_id, link, place);
    delete from payplane.unsealed u where u.batch_id = any (v_batches);
    update payplane.seal_head set seal = v_seal + cardinality(v_batches), link = v_link where only_row;
    return cardinality(v_batches);
end $$;
