-- The only way to move money: lock_and_read, decide in memory, commit_batch, in one database transaction.
--
-- Both functions run with the rights of a role that nobody logs in as. Joins against arrays are kept to nested loops
-- over the primary keys: right for at most 1,000 keys whatever the statistics say. Plans that would rather do
-- something else then look so expensive that PostgreSQL would compile them to machine code for each call, which takes a
-- hundred times longer than running them: hence jit = off.

-- Locks the accounts in the order of their ids, then reads. A later statement sees what was committed while the lock
-- was waited for; that is why reading is not part of the locking statement.
--
-- With p_skip_locked nothing is waited for: accounts that somebody else holds come back as busy, unlocked.
create function payplane.lock_and_read(
    p_account_tenants uuid[], p_accounts uuid[],
    p_payment_tenants uuid[], p_payments uuid[], p_skip_locked boolean,
    out batch_id bigint, out now_us bigint,
    out account_tenants uuid[], out accounts uuid[], out kinds smallint[], out statuses smallint[],
    out currencies text[], out floors bigint[],
    out posted_debits bigint[], out posted_credits bigint[], out pending_debits bigint[], out pending_credits bigint[],
    out versions bigint[], out last_transfers bigint[], out busy boolean[],
    out known_tenants uuid[], out known_payments uuid[]
)
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off
as $$
declare
    v_locked uuid[];
begin
    if p_skip_locked then
        select array_agg(held.account_id) into v_locked
        from (
            select a.account_id
            from unnest(p_account_tenants, p_accounts) as wanted (tenant_id, account_id)
            join payplane.accounts a on a.tenant_id = wanted.tenant_id and a.account_id = wanted.account_id
            order by a.tenant_id, a.account_id
            for no key update of a skip locked
        ) held;
    else
        perform 1
        from unnest(p_account_tenants, p_accounts) as wanted (tenant_id, account_id)
        join payplane.accounts a on a.tenant_id = wanted.tenant_id and a.account_id = wanted.account_id
        order by a.tenant_id, a.account_id
        for no key update of a;
    end if;

    batch_id := nextval('payplane.batch_ids');
    now_us := (extract(epoch from clock_timestamp()) * 1000000)::bigint;

    select array_agg(a.tenant_id), array_agg(a.account_id), array_agg(a.kind), array_agg(a.status),
           array_agg(a.currency), array_agg(a.floor_minor),
           array_agg(a.posted_debits), array_agg(a.posted_credits),
           array_agg(a.pending_debits), array_agg(a.pending_credits),
           array_agg(a.version), array_agg(a.last_transfer),
           array_agg(p_skip_locked and a.account_id <> all (coalesce(v_locked, '{}')))
    into account_tenants, accounts, kinds, statuses, currencies, floors,
         posted_debits, posted_credits, pending_debits, pending_credits, versions, last_transfers, busy
    from unnest(p_account_tenants, p_accounts) as wanted (tenant_id, account_id)
    join payplane.accounts a on a.tenant_id = wanted.tenant_id and a.account_id = wanted.account_id;

    -- Mostly none: a key is new, or it is repeated.
    select array_agg(p.tenant_id), array_agg(p.payment_id)
    into known_tenants, known_payments
    from unnest(p_payment_tenants, p_payments) as wanted (tenant_id, payment_id)
    join payplane.payments p on p.tenant_id = wanted.tenant_id and p.payment_id = wanted.payment_id;
end $$;

-- The stored decisions of these keys, with the balances that were answered.
create function payplane.read_decisions(p_tenants uuid[], p_payments uuid[])
returns table (
    tenant_id uuid, payment_id uuid, sequence bigint, origin smallint, key text, debit_account uuid,
    credit_account uuid, minor bigint, currency text, reference text, origin_ref text, actor text,
    correlation_id text, refusal smallint, refusal_field text, decided_at_us bigint,
    debit_posted_debits bigint, debit_posted_credits bigint, debit_pending_debits bigint,
    debit_pending_credits bigint, debit_version bigint,
    credit_posted_debits bigint, credit_posted_credits bigint, credit_pending_debits bigint,
    credit_pending_credits bigint, credit_version bigint
)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off
as $$
    select p.tenant_id, p.payment_id, p.sequence, p.origin, p.key, p.debit_account,
           p.credit_account, p.minor, p.currency, p.reference, p.origin_ref, p.actor,
           p.correlation_id, p.refusal, p.refusal_field, (extract(epoch from p.decided_at) * 1000000)::bigint,
           t.debit_posted_debits, t.debit_posted_credits, t.debit_pending_debits,
           t.debit_pending_credits, t.debit_version,
           t.credit_posted_debits, t.credit_posted_credits, t.credit_pending_debits,
           t.credit_pending_credits, t.credit_version
    from unnest(p_tenants, p_payments) as wanted (tenant_id, payment_id)
    join payplane.payments p on p.tenant_id = wanted.tenant_id and p.payment_id = wanted.payment_id
    left join payplane.transfers t on t.tenant_id = p.tenant_id and t.sequence = p.sequence;
$$;

-- Writes what the engine decided, after checking all of it again in sets. The arrays of the first three lines after
-- the batch have one entry per decision; those of balances are null where the decision is a refusal.
--
-- Raises PP001 if another engine decided one of the keys meanwhile (decide again: the outcome is known now), and
-- PP002 if the decision does not follow from the accounts as they stand.
create function payplane.commit_batch(
    p_batch bigint, p_decided_us bigint, p_root bytea,
    p_tenants uuid[], p_payments uuid[], p_sequences bigint[], p_origins smallint[], p_keys text[],
    p_debits uuid[], p_credits uuid[], p_minors bigint[], p_currencies text[], p_references text[],
    p_origin_refs text[], p_actors text[], p_correlation_ids text[], p_refusals smallint[], p_refusal_fields text[],
    p_debit_previous bigint[], p_debit_posted_debits bigint[], p_debit_posted_credits bigint[],
    p_debit_pending_debits bigint[], p_debit_pending_credits bigint[], p_debit_versions bigint[],
    p_credit_previous bigint[], p_credit_posted_debits bigint[], p_credit_posted_credits bigint[],
    p_credit_pending_debits bigint[], p_credit_pending_credits bigint[], p_credit_versions bigint[],
    p_root_tenants uuid[], p_tenant_roots bytea[], p_tenant_rows integer[]
)
returns void
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off
as $$
declare
    v_decided_at timestamptz := to_timestamp(0) + p_decided_us * interval '1 microsecond';
    v_written    bigint;
    v_wrong      bigint;
    v_touched    bigint;
    v_updated    bigint;
begin
    -- In the order of the key: two engines that insert the same keys never wait for each other in a circle.
    insert into payplane.payments (
        tenant_id, payment_id, sequence, origin, key, debit_account, credit_account, minor, currency,
        reference, origin_ref, actor, correlation_id, refusal, refusal_field, decided_at
    )
    select r.tenant_id, r.payment_id, r.sequence, r.origin, r.key, r.debit, r.credit, r.minor, r.currency,
           r.reference, r.origin_ref, r.actor, r.correlation_id, r.refusal, r.refusal_field, v_decided_at
    from unnest(
        p_tenants, p_payments, p_sequences, p_origins, p_keys, p_debits, p_credits, p_minors, p_currencies,
        p_references, p_origin_refs, p_actors, p_correlation_ids, p_refusals, p_refusal_fields
    ) as r (
        tenant_id, payment_id, sequence, origin, key, debit, credit, minor, currency,
        reference, origin_ref, actor, correlation_id, refusal, refusal_field
    )
    order by r.tenant_id, r.payment_id
    on conflict do nothing;
    get diagnostics v_written = row_count;
    if v_written is distinct from cardinality(p_payments)::bigint then
        raise exception 'a key of the batch was decided meanwhile' using errcode = 'PP001';
    end if;

    -- A payment has a transfer exactly if it is not refused. The columns of balances take no nulls, so a decision
    -- without balances fails at the insert.
    insert into payplane.transfers
    select r.tenant_id, r.sequence, r.payment_id, r.debit, r.credit, r.minor, r.currency,
           r.debit_previous, r.debit_posted_debits, r.debit_posted_credits, r.debit_pending_debits,
           r.debit_pending_credits, r.debit_version,
           r.credit_previous, r.credit_posted_debits, r.credit_posted_credits, r.credit_pending_debits,
           r.credit_pending_credits, r.credit_version
    from unnest(
        p_tenants, p_sequences, p_payments, p_debits, p_credits, p_minors, p_currencies, p_refusals,
        p_debit_previous, p_debit_posted_debits, p_debit_posted_credits, p_debit_pending_debits,
        p_debit_pending_credits, p_debit_versions,
        p_credit_previous, p_credit_posted_debits, p_credit_posted_credits, p_credit_pending_debits,
        p_credit_pending_credits, p_credit_versions
    ) as r (
        tenant_id, sequence, payment_id, debit, credit, minor, currency, refusal,
        debit_previous, debit_posted_debits, debit_posted_credits, debit_pending_debits,
        debit_pending_credits, debit_version,
        credit_previous, credit_posted_debits, credit_posted_credits, credit_pending_debits,
        credit_pending_credits, credit_version
    )
    where r.refusal is null;
    if exists (
        select 1 from unnest(p_refusals, p_debit_versions, p_credit_versions) as r (refusal, debit, credit)
        where r.refusal is not null and (r.debit is not null or r.credit is not null)
    ) then
        raise exception 'a refused payment has postings' using errcode = 'PP002';
    end if;

    -- Each posting must follow from the one before it on its account, the first from the account itself; each debit
    -- must leave the floor. The account then becomes what its last posting says.
    with posting as (
        select r.tenant_id, r.sequence, r.debit as account_id, r.currency, r.minor as debited, 0::bigint as credited,
               r.previous, r.posted_debits, r.posted_credits, r.pending_debits, r.pending_credits, r.version
        from unnest(
            p_tenants, p_sequences, p_debits, p_currencies, p_minors, p_debit_previous, p_debit_posted_debits,
            p_debit_posted_credits, p_debit_pending_debits, p_debit_pending_credits, p_debit_versions
        ) as r (
            tenant_id, sequence, debit, currency, minor, previous, posted_debits,
            posted_credits, pending_debits, pending_credits, version
        )
        where r.version is not null
        union all
        select r.tenant_id, r.sequence, r.credit, r.currency, 0, r.minor,
               r.previous, r.posted_debits, r.posted_credits, r.pending_debits, r.pending_credits, r.version
        from unnest(
            p_tenants, p_sequences, p_credits, p_currencies, p_minors, p_credit_previous, p_credit_posted_debits,
            p_credit_posted_credits, p_credit_pending_debits, p_credit_pending_credits, p_credit_versions
        ) as r (
            tenant_id, sequence, credit, currency, minor, previous, posted_debits,
            posted_credits, pending_debits, pending_credits, version
        )
        where r.version is not null
    ),
    chained as (
        select p.*,
               a.version as base_version,
               lead(p.sequence) over history is null as is_last,
               a.account_id is not null
               and a.currency = p.currency
               and p.sequence / 1024 = p_batch
               and p.previous = lag(p.sequence, 1, a.last_transfer) over history
               and p.previous < p.sequence
               and p.version = lag(p.version, 1, a.version) over history + 1
               and p.posted_debits = lag(p.posted_debits, 1, a.posted_debits) over history + p.debited
               and p.posted_credits = lag(p.posted_credits, 1, a.posted_credits) over history + p.credited
               and p.pending_debits = lag(p.pending_debits, 1, a.pending_debits) over history
               and p.pending_credits = lag(p.pending_credits, 1, a.pending_credits) over history
               and (p.debited = 0 or a.floor_minor <= p.posted_credits - p.posted_debits - p.pending_debits)
               and a.status = any (case when p.debited = 0 then array[1, 2] else array[1, 3] end) as is_right
        from posting p
        left join payplane.accounts a on a.tenant_id = p.tenant_id and a.account_id = p.account_id
        window history as (partition by p.tenant_id, p.account_id order by p.sequence)
    ),
    updated as (
        update payplane.accounts a
        set posted_debits = c.posted_debits, posted_credits = c.posted_credits,
            pending_debits = c.pending_debits, pending_credits = c.pending_credits,
            version = c.version, last_transfer = c.sequence
        from chained c
        where c.is_last and a.tenant_id = c.tenant_id and a.account_id = c.account_id
          -- Without the locks of lock_and_read the row could have changed since it was read.
          and a.version = c.base_version
        returning 1
    )
    select count(*) filter (where c.is_right is not true), count(*) filter (where c.is_last), (select count(*) from updated)
    into v_wrong, v_touched, v_updated
    from chained c;
    if v_wrong <> 0 or v_touched <> v_updated then
        raise exception 'the batch does not follow from the accounts' using errcode = 'PP002';
    end if;

    insert into payplane.batches (batch_id, root, decided_at) values (p_batch, p_root, v_decided_at);
    insert into payplane.batch_tenants (tenant_id, batch_id, root, row_count)
    select r.tenant_id, p_batch, r.root, r.row_count
    from unnest(p_root_tenants, p_tenant_roots, p_tenant_rows) as r (tenant_id, root, row_count);
    if exists (
        select 1
        from (select s.tenant_id, count(*) as counted from unnest(p_tenants) as s (tenant_id) group by s.tenant_id) s
        full join unnest(p_root_tenants, p_tenant_rows) as r (tenant_id, row_count) on r.tenant_id = s.tenant_id
        where s.counted is distinct from r.row_count::bigint
    ) then
        raise exception 'the roots do not cover the rows' using errcode = 'PP002';
    end if;
end $$;
