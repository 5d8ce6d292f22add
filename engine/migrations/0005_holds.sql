-- How holds do as a whole, for whoever watches over deadlines. Reads follow the holds that are open, never the history.

-- Holds that sweeps gave back, by the class of the payer's wallet. The journal knows each of them; this counts them, so
-- that nobody has to read a tenant's history for a number. Written once per sweep that gave something back, after its
-- commits: a sweep that dies in between is not counted.
create table payplane.reversals (
    tenant_id     uuid   not null,
    class         text   not null collate "C",
    reversed      bigint not null,
    -- By the last sweep that gave any back, and when that was.
    last_reversed bigint not null,
    last_us       bigint not null,
    constraint reversals_pkey primary key (tenant_id, class),
    constraint reversals_positive check (0 < last_reversed and last_reversed <= reversed)
) with (fillfactor = 70);

-- When a sweep last ended, by the database's clock.
create table payplane.sweep_head (
    only_row boolean not null default true,
    swept_us bigint  not null default 0,
    constraint sweep_head_pkey primary key (only_row),
    constraint sweep_head_has_one_row check (only_row)
);

insert into payplane.sweep_head default values;

-- Notes that a sweep ended, and which holds it gave back.
create function payplane.record_sweep(p_tenants uuid[], p_payments uuid[])
returns void
language plpgsql volatile security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
declare
    v_now bigint;
begin
    -- Whoever notes something holds this row, so replicas count one after the other.
    perform 1 from payplane.sweep_head for update;
    v_now := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
    update payplane.sweep_head set swept_us = v_now where only_row;
    insert into payplane.reversals as r (tenant_id, class, reversed, last_reversed, last_us)
    select p.tenant_id, a.class, count(*), count(*), v_now
    from unnest(p_tenants, p_payments) as ended (tenant_id, payment_id)
    join payplane.payments p on p.tenant_id = ended.tenant_id and p.payment_id = ended.payment_id
    join payplane.accounts a on a.tenant_id = p.tenant_id and a.account_id = p.debit_account
    group by p.tenant_id, a.class
    on conflict (tenant_id, class) do update
    set reversed = r.reversed + excluded.reversed, last_reversed = excluded.last_reversed, last_us = excluded.last_us;
end $$;

-- The pending holds of a tenant, or of everybody if null, and of a class of payers' wallets, or of all if null. At most
-- p_max of them are looked at. Times are microseconds since 1970; null where there is nothing.
create function payplane.hold_summary(p_tenant uuid, p_class text, p_max integer)
returns table (
    pending bigint, overdue bigint, oldest_us bigint, overdue_us bigint,
    reversed bigint, last_reversed bigint, swept_us bigint, now_us bigint
)
language plpgsql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
declare
    v_open  payplane.payments[];
    v_first bigint;
begin
    now_us := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
    -- Two statements, because one for both would have a plan that reads everybody's holds.
    if p_tenant is null then
        select array_agg(o) into v_open from (
            select p.* from payplane.payments p where p.phase = 1 limit p_max
        ) o;
    else
        select array_agg(o) into v_open from (
            select p.* from payplane.payments p
            where p.tenant_id = p_tenant and p.phase = 1 and (p_class is null or exists (
                select from payplane.accounts a
                where a.tenant_id = p.tenant_id and a.account_id = p.debit_account and a.class = p_class))
            limit p_max
        ) o;
    end if;
    select count(*), count(*) filter (where o.deadline_us <= now_us),
           min(o.deadline_us) filter (where o.deadline_us <= now_us)
    into pending, overdue, overdue_us
    from unnest(v_open) o;
    -- Sequences grow with time, so the least one is the oldest hold's.
    select min(j.sequence) into v_first
    from unnest(v_open) o
    cross join lateral (
        select j.sequence from payplane.journal j
        where j.tenant_id = o.tenant_id and j.operation_id = o.payment_id
        offset 0
    ) j;
    select b.decided_us into oldest_us from payplane.batches b where b.batch_id = v_first / 1024;
    select s.swept_us into swept_us from payplane.sweep_head s;
    select coalesce(sum(r.reversed), 0), coalesce(sum(r.last_reversed) filter (where r.last_us = hold_summary.swept_us), 0)
    into reversed, last_reversed
    from payplane.reversals r
    where (p_tenant is null or r.tenant_id = p_tenant) and (p_class is null or r.class = p_class);
    return next;
end $$;
