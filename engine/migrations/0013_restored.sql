-- Holds that stay when they are past their deadline, and when a restored ledger began.

-- One more parameter, whose number follows one that is never set: what becomes of a payer's holds that are past their deadline, 1 reverse, 2 alert.
alter table payplane.settings
    drop constraint settings_name_known,
    add constraint settings_name_known check (name between 1 and 16 and name <> 15),
    add constraint settings_overdue_action_known check (name <> 16 or value between 1 and 2);

-- Sweeps read it for each hold that is due; a tenant may have a thousand other settings.
create index settings_overdue_action on payplane.settings (tenant_id) where name = 16;

-- Whether holds of this account stay. The same order as everywhere: the most specific level, and within it the currency.
create function payplane.is_left(p_tenant uuid, p_account uuid)
returns boolean
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
cost 1000
as $$
    select coalesce((
        select s.value = 2
        from payplane.accounts a
        join payplane.settings s
          on s.name = 16 and s.tenant_id in (a.tenant_id, '00000000-0000-0000-0000-000000000000')
         and s.currency in ('', a.currency)
         and s.scope = case s.level when 3 then a.class when 4 then a.account_id::text else '' end
        where a.tenant_id = p_tenant and a.account_id = p_account
        order by s.level desc, s.currency <> '' desc
        limit 1
    ), false)
$$;

-- Holds whose deadline has passed or whose date has come, of all tenants, the oldest first, a page at a time. Holds that
-- stay are left out here, or they would fill the pages of every sweep; that none is given back by a sweep that read this a
-- moment before the parameter changed is the ledger's rule.
create or replace function payplane.due_payments(p_after_us bigint, p_after uuid, p_max integer)
returns table (tenant_id uuid, payment_id uuid, is_expired boolean, due_us bigint, now_us bigint)
language sql volatile security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
    with moment as materialized (
        select (extract(epoch from clock_timestamp()) * 1000000)::bigint as now_us,
               exists (select from payplane.settings s where s.name = 16 and s.value = 2) as any_is_left
    )
    select p.tenant_id, p.payment_id, coalesce(p.deadline_us <= m.now_us, false),
           least(p.deadline_us, p.capture_at_us), m.now_us
    from moment m, payplane.payments p
    where p.phase = 1 and least(p.deadline_us, p.capture_at_us) between p_after_us and m.now_us
      and (least(p.deadline_us, p.capture_at_us), p.payment_id) > (p_after_us, p_after)
      and not (m.any_is_left and coalesce(p.deadline_us <= m.now_us, false)
               and payplane.is_left(p.tenant_id, p.debit_account))
    order by least(p.deadline_us, p.capture_at_us), p.payment_id
    limit p_max;
$$;

-- As before, and how many of the overdue holds wait for a decision. They are none that the sweep is behind with.
drop function payplane.hold_summary(uuid, text, integer);

create function payplane.hold_summary(p_tenant uuid, p_class text, p_max integer)
returns table (
    pending bigint, overdue bigint, oldest_us bigint, overdue_us bigint,
    reversed bigint, last_reversed bigint, swept_us bigint, now_us bigint,
    awaiting bigint, awaiting_us bigint
)
language plpgsql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
declare
    v_open     payplane.payments[];
    v_first    bigint;
    v_any_left boolean := exists (select from payplane.settings s where s.name = 16 and s.value = 2);
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
    select count(*) into pending from unnest(v_open) o;
    select count(*), min(d.deadline_us) filter (where not d.is_left),
           count(*) filter (where d.is_left), min(d.deadline_us) filter (where d.is_left)
    into overdue, overdue_us, awaiting, awaiting_us
    from (
        select o.deadline_us, v_any_left and payplane.is_left(o.tenant_id, o.debit_account) as is_left
        from unnest(v_open) o
        where o.deadline_us <= now_us
        offset 0
    ) d;
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

-- When the copy became a ledger of its own. What callers asked before and the ledger does not know may have been done since
-- the copy was made. Zero in a ledger that was never restored.
alter table payplane.epoch
    add column began_us bigint not null default 0,
    add constraint epoch_began_not_negative check (0 <= began_us);
