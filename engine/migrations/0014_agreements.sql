-- Which plan a tenant pays by, as it was agreed: versions of plans that never change, and from when on each holds.
--
-- An invoice that is made by what was agreed names how many agreements it knows of. Both are written under one lock per
-- tenant, and an agreement that holds at once holds from a moment that is read under that lock: so none comes to hold
-- within a period that is invoiced.

-- What a tenant can be billed by. A version is what it was when it was first agreed.
create table payplane.plan_versions (
    tenant_id uuid   not null,
    version   text   not null collate "C",
    currency  payplane.currency_code not null,
    -- Prices, as JSON. Text, because it is never asked about.
    terms     text   not null,
    constraint plan_versions_pkey primary key (tenant_id, version),
    constraint plan_versions_currency_key unique (tenant_id, version, currency),
    constraint plan_versions_tenant_fkey foreign key (tenant_id) references payplane.tenants
);

-- One after the other, without gaps; the first one holds from the beginning. Rows never change.
create table payplane.plan_agreements (
    tenant_id    uuid    not null,
    number       bigint  not null,
    previous     bigint,
    version      text    not null collate "C",
    currency     payplane.currency_code not null,
    -- From when on, in microseconds since 1970,
    effective_us bigint  not null,
    -- and whether a period is cut there. Otherwise it begins with the first period that begins then or later.
    cuts         boolean not null,
    agreed_us    bigint  not null,
    constraint plan_agreements_pkey primary key (tenant_id, number),
    constraint plan_agreements_version_fkey foreign key (tenant_id, version, currency)
        references payplane.plan_versions (tenant_id, version, currency),
    constraint plan_agreements_numbered_from_one check (1 <= number),
    constraint plan_agreements_previous_is_one_less check (previous is not distinct from nullif(number - 1, 0)),
    constraint plan_agreements_follow_each_other foreign key (tenant_id, previous)
        references payplane.plan_agreements (tenant_id, number),
    constraint plan_agreements_first_holds_always check (1 < number or effective_us = 0 and not cuts)
);

create index plan_agreements_effective on payplane.plan_agreements (tenant_id, effective_us);

-- Whoever agrees and whoever invoices by what was agreed take turns, until the commit. 14 keeps the locks of tenants apart
-- from others with two keys; two tenants that meet at a number only wait for each other.
create function payplane.lock_agreements(p_tenant uuid)
returns void
language sql volatile security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select pg_advisory_xact_lock(14, hashtext(p_tenant::text));
$$;

-- Agrees on a version, from a moment on at which a period begins or, without one, from now on. Says what became of it:
--   1  it is agreed now,
--   2  it was agreed last already, and holds then or sooner,
--   3  other terms have this version,
--   4  it holds from now on, and would change the currency within a period,
--   5  it holds from now on, and the open period has been cut p_cuts_max times;
-- and of 1 and 2 from when on it holds. What was agreed before and would have held later never will.
create function payplane.agree_plan(
    p_tenant uuid, p_version text, p_currency text, p_terms text, p_next_us bigint, p_cuts_max integer,
    out answer smallint, out effective_us bigint
)
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
declare
    v_now_us bigint;
    v_last   payplane.plan_agreements;
    v_holds  payplane.plan_agreements;
    v_cuts   boolean := false;
begin
    perform payplane.lock_agreements(p_tenant);
    v_now_us := (extract(epoch from clock_timestamp()) * 1000000)::bigint;

    if exists (
        select from payplane.plan_versions v
        where v.tenant_id = p_tenant and v.version = p_version and (v.terms <> p_terms or v.currency <> p_currency)
    ) then
        answer := 3;
        return;
    end if;

    select a.* into v_last from payplane.plan_agreements a where a.tenant_id = p_tenant order by a.number desc limit 1;
    if v_last.version = p_version and (p_next_us is not null or v_last.effective_us <= v_now_us) then
        answer := 2;
        effective_us := v_last.effective_us;
        return;
    end if;

    select a.* into v_holds from payplane.plan_agreements a
    where a.tenant_id = p_tenant and a.effective_us <= v_now_us order by a.number desc limit 1;
    if v_last.number is null then
        effective_us := 0;
    elsif v_holds.version = p_version then
        -- It only takes back what was to come.
        effective_us := v_now_us;
    elsif p_next_us is not null then
        effective_us := p_next_us;
    elsif v_holds.currency <> p_currency then
        answer := 4;
        return;
    elsif p_cuts_max <= (
        select count(*) from payplane.plan_agreements a
        where a.tenant_id = p_tenant and a.cuts and a.effective_us > coalesce((
            select i.end_us from payplane.invoices i where i.tenant_id = p_tenant order by i.number desc limit 1), 0)
    ) then
        answer := 5;
        return;
    else
        -- After the last cut, also if the clock was set back.
        effective_us := greatest(v_now_us, 1 + (
            select coalesce(max(a.effective_us), 0) from payplane.plan_agreements a
            where a.tenant_id = p_tenant and a.cuts));
        v_cuts := true;
    end if;

    insert into payplane.plan_versions (tenant_id, version, currency, terms)
    values (p_tenant, p_version, p_currency, p_terms) on conflict do nothing;
    insert into payplane.plan_agreements (
        tenant_id, number, previous, version, currency, effective_us, cuts, agreed_us
    )
    values (
        p_tenant, coalesce(v_last.number, 0) + 1, v_last.number, p_version, p_currency, effective_us, v_cuts, v_now_us
    );
    answer := 1;
end $$;

-- Issues an invoice by what was agreed; see issue_invoice. Raises PP001 if more was agreed than the caller knows of.
create function payplane.issue_agreed_invoice(
    p_agreements bigint,
    p_tenant uuid, p_number bigint, p_start_us bigint, p_end_us bigint, p_after bigint, p_through bigint,
    p_currency text, p_total_minor bigint, p_plan_version text, p_document text,
    p_through_event bigint, p_prepaid_keys text[], p_prepaid_before bigint[], p_prepaid_minors bigint[]
)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
begin
    perform payplane.lock_agreements(p_tenant);
    if p_agreements <> coalesce((
        select max(a.number) from payplane.plan_agreements a where a.tenant_id = p_tenant), 0) then
        raise exception 'another plan was agreed meanwhile' using errcode = 'PP001';
    end if;
    return payplane.issue_invoice(
        p_tenant, p_number, p_start_us, p_end_us, p_after, p_through, p_currency, p_total_minor, p_plan_version,
        p_document, p_through_event, p_prepaid_keys, p_prepaid_before, p_prepaid_minors);
end $$;

-- ---------------------------------------------------------------- Measures against a debt

-- Tenants of which a new payment may be only so much, because they owe. Beside billing_suspensions, and as that one a
-- reason of its own: settings are the treasury's, and stay what they are.
create table payplane.billing_limits (
    tenant_id     uuid   not null,
    currency      payplane.currency_code not null,
    -- The most that one payment may be, in minor units.
    maximum_minor bigint not null,
    constraint billing_limits_pkey primary key (tenant_id),
    constraint billing_limits_tenant_fkey foreign key (tenant_id) references payplane.tenants,
    constraint billing_limits_not_negative check (0 <= maximum_minor)
);

-- Suspends a tenant because it owes, limits its payments (nulls for not), or takes that back; says whether that changed
-- anything.
create function payplane.put_billing_measures(
    p_tenant uuid, p_suspended boolean, p_currency text, p_maximum_minor bigint
)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
declare
    v_limited boolean;
begin
    if p_maximum_minor is null then
        delete from payplane.billing_limits l where l.tenant_id = p_tenant;
    else
        insert into payplane.billing_limits as l (tenant_id, currency, maximum_minor)
        values (p_tenant, p_currency, p_maximum_minor)
        on conflict (tenant_id) do update set currency = excluded.currency, maximum_minor = excluded.maximum_minor
        where (l.currency, l.maximum_minor) <> (excluded.currency, excluded.maximum_minor);
    end if;
    v_limited := found;
    -- As for every suspension: what was decided before is not applied after.
    if v_limited then
        update payplane.settings_version set version = version + 1 where only_row;
    end if;
    return payplane.put_billing_suspension(p_tenant, p_suspended) or v_limited;
end $$;

-- As before, with the limits of those who owe as a parameter of the tenant that nobody sets (15, DebtPaymentMaximum).
create or replace function payplane.read_settings(
    p_tenants uuid[], out version bigint, out settings text[], out suspended uuid[]
)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select v.version, (
        select array_agg(o.setting) from (
            select row_to_json(s)::text as setting from payplane.settings s
            where s.tenant_id = any (p_tenants) or s.tenant_id = '00000000-0000-0000-0000-000000000000'
            union all
            select json_build_object(
                'tenant_id', l.tenant_id, 'level', 2, 'scope', '', 'name', 15, 'currency', l.currency,
                'value', l.maximum_minor)::text
            from payplane.billing_limits l where l.tenant_id = any (p_tenants)
        ) o
    ), (
        select array_agg(t.tenant_id) from payplane.tenants t
        where t.tenant_id = any (p_tenants) and (t.suspended or exists (
            select from payplane.billing_suspensions b where b.tenant_id = t.tenant_id))
    )
    from payplane.settings_version v;
$$;
