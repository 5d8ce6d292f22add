-- Invoices, from sealed batches.
--
-- Seals are gapless and never change, so a range of seals is the same usage for ever: it can be read first and written
-- about afterwards. The table's own keys say what an invoice may be; issue_invoice says where it may be cut.

-- One per tenant and period. Each names the one before it with that one's end and last seal, so numbers have no gaps,
-- periods no holes, and no seal is billed twice or never: a foreign key says so. Rows never change.
create table payplane.invoices (
    tenant_id    uuid   not null,
    number       bigint not null,
    -- The invoice before, null for the first.
    previous     bigint,
    -- Microseconds since 1970: from when on, and until before when.
    start_us     bigint not null,
    end_us       bigint not null,
    -- Usage of the seals after the one, up to and including the other.
    after_seal   bigint not null,
    through_seal bigint not null,
    currency     payplane.currency_code not null,
    total_minor  bigint not null,
    plan_version text   not null,
    -- What the invoice says, as JSON: lines, taxes, totals, usage. Text, because it is never asked about.
    document     text   not null,
    issued_us    bigint not null,
    constraint invoices_pkey primary key (tenant_id, number),
    constraint invoices_period_key unique (tenant_id, start_us),
    constraint invoices_end_key unique (tenant_id, number, end_us, through_seal),
    constraint invoices_tenant_fkey foreign key (tenant_id) references payplane.tenants,
    constraint invoices_follow_each_other foreign key (tenant_id, previous, start_us, after_seal)
        references payplane.invoices (tenant_id, number, end_us, through_seal),
    constraint invoices_numbered_from_one check (1 <= number),
    constraint invoices_previous_is_one_less check (previous is not distinct from nullif(number - 1, 0)),
    constraint invoices_period_ends check (start_us < end_us),
    constraint invoices_cut_in_order check (0 <= after_seal and after_seal <= through_seal),
    constraint invoices_total_not_negative check (0 <= total_minor)
);

-- The lowest and highest batch number under each full block of 4,096 seals. Seals and batch numbers run almost alike, but
-- not quite, so a range of seals has to know between which batch numbers to look; asking every seal of a month would cost
-- more than the usage itself. Filled by whoever needs a block first; a full block never changes.
create table payplane.seal_blocks (
    block   bigint not null,
    lowest  bigint not null,
    highest bigint not null,
    constraint seal_blocks_pkey primary key (block)
);

-- The last seal such that it and everything before it was decided before a moment: one less than the first seal of what
-- was decided from then on, or the head if there is none yet. Once there is one the answer is final, because later seals
-- are higher. What was decided before the moment and is sealed after the cut is for the next period.
--
-- A batch that was decided from the moment on and has a lower seal than the earliest of them was sealed before that one,
-- and decided before it was sealed: so it is enough to look until the earliest one's sealing. Two short index ranges. If
-- the database's clock is set back meanwhile, the cut may be some seals off; every seal is still in exactly one invoice.
create function payplane.billing_cut(p_moment_us bigint)
returns bigint
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
    with earliest as (
        select s.sealed_us
        from payplane.batches b
        cross join lateral (select s.sealed_us from payplane.seals s where s.batch_id = b.batch_id offset 0) s
        where p_moment_us <= b.decided_us
        order by b.decided_us limit 1
    )
    select coalesce(
        (
            select min(s.seal) - 1
            from earliest e
            join payplane.batches b on b.decided_us between p_moment_us and e.sealed_us
            cross join lateral (select s.seal from payplane.seals s where s.batch_id = b.batch_id offset 0) s
        ),
        (select h.seal from payplane.seal_head h)
    );
$$;

-- Between which batch numbers the batches under a range of seals are; nulls for an empty range. Costs one row per block
-- and at most two blocks of seals, and the first time the seals of each block.
create function payplane.billing_window(p_after bigint, p_through bigint, out lowest bigint, out highest bigint)
language plpgsql volatile security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
declare
    c_size  constant bigint := 4096;
    v_first bigint := p_after / c_size + 1;
    v_end   bigint := (p_through + 1) / c_size;
begin
    insert into payplane.seal_blocks (block, lowest, highest)
    select missing.block, s.lowest, s.highest
    from (
        select b.block from generate_series(v_first, v_end - 1) as b (block)
        where not exists (select 1 from payplane.seal_blocks k where k.block = b.block)
    ) missing
    cross join lateral (
        select min(s.batch_id) as lowest, max(s.batch_id) as highest from payplane.seals s
        where missing.block * c_size <= s.seal and s.seal < (missing.block + 1) * c_size
        offset 0
    ) s
    order by missing.block
    on conflict do nothing;

    select min(found.lowest), max(found.highest) into lowest, highest
    from (
        select k.lowest, k.highest from payplane.seal_blocks k where v_first <= k.block and k.block < v_end
        union all
        select s.batch_id, s.batch_id from payplane.seals s
        where p_after < s.seal and s.seal <= least(p_through, v_first * c_size - 1)
        union all
        select s.batch_id, s.batch_id from payplane.seals s
        where greatest(v_first, v_end) * c_size <= s.seal and s.seal <= p_through
    ) found;
end $$;

-- Issues an invoice and says whether it did; false, and nothing done, if the period has one. Raises PP001 if the cut is
-- another one by now, which happens while nothing was decided since the period's end, or if somebody else was quicker
-- with other dates; and PP002 for a period that is not over.
create function payplane.issue_invoice(
    p_tenant uuid, p_number bigint, p_start_us bigint, p_end_us bigint, p_after bigint, p_through bigint,
    p_currency text, p_total_minor bigint, p_plan_version text, p_document text
)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
declare
    v_now_us bigint := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
    v_issued boolean;
begin
    if exists (select 1 from payplane.invoices i where i.tenant_id = p_tenant and i.start_us = p_start_us) then
        return false;
    end if;
    if v_now_us < p_end_us then
        raise exception 'the period is not over' using errcode = 'PP002';
    end if;
    if p_through <> greatest(p_after, payplane.billing_cut(p_end_us))
       or p_number = 1 and p_after <> payplane.billing_cut(p_start_us) then
        raise exception 'the cut has moved' using errcode = 'PP001';
    end if;
    insert into payplane.invoices (
        tenant_id, number, previous, start_us, end_us, after_seal, through_seal, currency, total_minor, plan_version,
        document, issued_us
    )
    values (
        p_tenant, p_number, nullif(p_number - 1, 0), p_start_us, p_end_us, p_after, p_through, p_currency,
        p_total_minor, p_plan_version, p_document, v_now_us
    )
    on conflict do nothing;
    v_issued := found;
    if not v_issued and not exists (
        select 1 from payplane.invoices i where i.tenant_id = p_tenant and i.start_us = p_start_us
    ) then
        raise exception 'the number is taken' using errcode = 'PP001';
    end if;
    return v_issued;
end $$;
