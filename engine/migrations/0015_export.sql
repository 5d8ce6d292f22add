-- A tenant's export: what proves its rows without those of others. From here on the root of a batch is over labels of its
-- tenants instead of their ids (see payplane_ledger::seal). Batches from before keep their roots, so both count.

create or replace function payplane.verify_batches(p_examples integer)
returns table (tenant_id uuid, account_id uuid, operation_id uuid, batch_id bigint, problem text, found bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set work_mem = '32MB' set jit = off
as $$
    with labelled as (
        select r.batch_id, r.tenant_id, r.root,
               sha256(int8send(24) || 'payplane.tenant-label.v1'::bytea || int8send(16) || uuid_send(r.tenant_id)
                      || int8send(8) || int8send(r.batch_id)) as label
        from payplane.batch_tenants r
    ),
    roots as (
        -- payplane_ledger::BatchSeal computes the first of these, and earlier releases computed the other.
        select r.batch_id,
               sha256(
                   int8send(22) || 'payplane.batch-root.v2'::bytea
                   || string_agg(int8send(32) || r.label || int8send(32) || r.root, ''::bytea order by r.label)
               ) as root,
               sha256(
                   int8send(22) || 'payplane.batch-root.v1'::bytea
                   || string_agg(int8send(16) || uuid_send(r.tenant_id) || int8send(32) || r.root, ''::bytea
                                 order by r.tenant_id)
               ) as named_root
        from labelled r
        group by r.batch_id
    )
    select null::uuid, null::uuid, null::uuid, coalesce(b.batch_id, r.batch_id),
           case when b.batch_id is null then 'roots of tenants without a batch'
                when r.batch_id is null then 'a batch without rows'
                else 'the root is not the one over the roots of the tenants' end,
           count(*) over ()
    from payplane.batches b
    full join roots r on r.batch_id = b.batch_id
    where b.root is distinct from r.root and b.root is distinct from r.named_root
    limit p_examples;
$$;

-- The tenant with this name, or with this id.
create function payplane.export_tenant(p_name text, p_tenant uuid)
returns table (tenant_id uuid, name text)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select t.tenant_id, t.name from payplane.tenants t where t.name = p_name or t.tenant_id = p_tenant;
$$;

-- A page of the chain, with the tenants of each batch and their roots in the order of the tenants' ids. Past row-level
-- security, because all tenants' roots make up the batch's; what leaves the engine has labels in their place.
create function payplane.export_seals(p_after bigint, p_max integer)
returns table (seal bigint, batch_id bigint, link bytea, root bytea, tenants uuid[], roots bytea[], row_counts integer[])
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off
as $$
    select s.seal, s.batch_id, s.link, b.root, t.tenants, t.roots, t.row_counts
    from (
        select * from payplane.seals s where p_after < s.seal order by s.seal limit least(p_max, 1000)
    ) s
    left join lateral (
        select b.root from payplane.batches b where b.batch_id = s.batch_id offset 0
    ) b on true
    cross join lateral (
        select array_agg(r.tenant_id order by r.tenant_id) as tenants, array_agg(r.root order by r.tenant_id) as roots,
               array_agg(r.row_count order by r.tenant_id) as row_counts
        from payplane.batch_tenants r
        where r.batch_id = s.batch_id
    ) t
    order by s.seal;
$$;
