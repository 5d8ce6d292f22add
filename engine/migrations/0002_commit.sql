-- The only way to move money: read what the decision needs, decide in memory, commit_batch.
--
-- Every change names the version that it was decided on and is applied to that version only, so a decision that was made
-- on old facts is never stored; the locks of lock_and_read only save such decisions from being made in vain.
--
-- The functions run with the rights of a role that nobody logs in as.
--
-- Planning for each call would cost more than the call, so plans are generic and live as long as a connection: a plan
-- that was made while a table was small must be right when it is large. So rows are always looked up by primary key for
-- the entries of the arrays, and never the other way round: in a lateral subquery that cannot be pulled up ("offset 0")
-- or, where PostgreSQL has no such thing, by costs that count rows and nothing else. A committer's connection says so
-- once (engine/src/store/session.rs), for lock_and_read and commit_batch: ten settings of the function itself would be
-- made and taken back with every batch.

-- Locks the accounts in the order of their ids, those of the payments and refunds acted on included, then reads. A later
-- statement sees what was committed while the lock was waited for; that is why reading is not part of locking.
--
-- With p_skip_locked nothing is waited for: accounts that somebody else holds come back as busy, unlocked.
create function payplane.lock_and_read(
    p_account_tenants uuid[], p_accounts uuid[],
    p_operation_tenants uuid[], p_operations uuid[],
    p_target_tenants uuid[], p_targets uuid[],
    p_skip_locked boolean, p_with_usages boolean,
    out batch_id bigint, out now_us bigint, out settings_version bigint,
    out account_tenants uuid[], out accounts uuid[], out kinds smallint[], out statuses smallint[],
    out currencies text[], out classes text[], out floors bigint[], out ceilings bigint[],
    out posted_debits bigint[], out posted_credits bigint[], out pending_debits bigint[], out pending_credits bigint[],
    out versions bigint[], out last_operations bigint[], out busy boolean[],
    out known_tenants uuid[], out known_operations uuid[],
    out refunds text[], out payments text[], out immediate_tenants uuid[], out immediates uuid[], out usages text[]
)
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
declare
    v_tenants         uuid[] := p_account_tenants;
    v_accounts        uuid[] := p_accounts;
    v_payment_tenants uuid[];
    v_payments        uuid[];
    v_locked          uuid[];
begin
    if cardinality(p_targets) <> 0 then
        -- A refund's payment, and either's accounts, never change: they can be read before anything is locked. What is
        -- not there yet is left out of all that is read below, even if it appears meanwhile: its accounts are not locked.
        select array_agg(t.tenant_id), array_agg(t.payment_id)
        into v_payment_tenants, v_payments
        from (
            select distinct j.tenant_id, j.operation_id as payment_id
            from unnest(p_target_tenants, p_targets) as wanted (tenant_id, target)
            left join lateral (
                select r.payment_id from payplane.refunds r
                where r.tenant_id = wanted.tenant_id and r.refund_id = wanted.target
                offset 0
            ) r on true
            cross join lateral (
                select j.tenant_id, j.operation_id from payplane.journal j
                where j.tenant_id = wanted.tenant_id and j.operation_id = coalesce(r.payment_id, wanted.target)
                  and j.kind in (1, 2) and j.refusal is null
                offset 0
            ) j
        ) t;
        select array_agg(a.tenant_id order by a.tenant_id, a.account_id),
               array_agg(a.account_id order by a.tenant_id, a.account_id)
        into v_tenants, v_accounts
        from (
            select w.tenant_id, w.account_id from unnest(p_account_tenants, p_accounts) as w (tenant_id, account_id)
            union
            select j.tenant_id, unnest(array[j.debit_account, j.credit_account])
            from unnest(v_payment_tenants, v_payments) as wanted (tenant_id, payment_id)
            cross join lateral (
                select j.* from payplane.journal j
                where j.tenant_id = wanted.tenant_id and j.operation_id = wanted.payment_id
                  and j.kind in (1, 2) and j.refusal is null
                offset 0
            ) j
        ) a;
    end if;

    -- One by one in the order of the arrays.
    if p_skip_locked then
        select array_agg(held.account_id) into v_locked
        from unnest(v_tenants, v_accounts) as wanted (tenant_id, account_id)
        cross join lateral (
            select a.account_id from payplane.accounts a
            where a.tenant_id = wanted.tenant_id and a.account_id = wanted.account_id
            for no key update skip locked
        ) held;
    else
        perform 1
        from unnest(v_tenants, v_accounts) as wanted (tenant_id, account_id)
        cross join lateral (
            select 1 from payplane.accounts a
            where a.tenant_id = wanted.tenant_id and a.account_id = wanted.account_id
            for no key update
        ) held;
    end if;

    batch_id := nextval('payplane.batch_ids');
    now_us := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
    select s.version into settings_version from payplane.settings_version s;

    select array_agg(a.tenant_id), array_agg(a.account_id), array_agg(a.kind), array_agg(a.status),
           array_agg(a.currency), array_agg(a.class), array_agg(a.floor_minor), array_agg(a.ceiling_minor),
           array_agg(a.posted_debits), array_agg(a.posted_credits),
           array_agg(a.pending_debits), array_agg(a.pending_credits),
           array_agg(a.version), array_agg(a.last_operation),
           array_agg(p_skip_locked and a.account_id <> all (coalesce(v_locked, '{}')))
    into account_tenants, accounts, kinds, statuses, currencies, classes, floors, ceilings,
         posted_debits, posted_credits, pending_debits, pending_credits, versions, last_operations, busy
    from unnest(v_tenants, v_accounts) as wanted (tenant_id, account_id)
    cross join lateral (
        select a.* from payplane.accounts a
        where a.tenant_id = wanted.tenant_id and a.account_id = wanted.account_id
        offset 0
    ) a;

    -- Mostly none: a key is new, or it is repeated.
    select array_agg(j.tenant_id), array_agg(j.operation_id)
    into known_tenants, known_operations
    from unnest(p_operation_tenants, p_operations) as wanted (tenant_id, operation_id)
    cross join lateral (
        select j.tenant_id, j.operation_id from payplane.journal j
        where j.tenant_id = wanted.tenant_id and j.operation_id = wanted.operation_id
        offset 0
    ) j;

    if cardinality(p_targets) <> 0 then
        select array_agg(row_to_json(r)::text) into refunds
        from unnest(p_target_tenants, p_targets) as wanted (tenant_id, target)
        cross join lateral (
            select r.* from payplane.refunds r
            where r.tenant_id = wanted.tenant_id and r.refund_id = wanted.target
              and r.payment_id = any (v_payments)
            offset 0
        ) r;

        select array_agg(distinct row_to_json(p)::text) into payments
        from unnest(v_payment_tenants, v_payments) as wanted (tenant_id, payment_id)
        cross join lateral (
            select p.* from payplane.payments p
            where p.tenant_id = wanted.tenant_id and p.payment_id = wanted.payment_id
            offset 0
        ) p;

        -- Made at once and never refunded: all about them is in the journal.
        select array_agg(i.tenant_id), array_agg(i.operation_id) into immediate_tenants, immediates
        from (
            select distinct j.tenant_id, j.operation_id
            from unnest(v_payment_tenants, v_payments) as wanted (tenant_id, payment_id)
            cross join lateral (
                select j.tenant_id, j.operation_id from payplane.journal j
                where j.tenant_id = wanted.tenant_id and j.operation_id = wanted.payment_id
                  and j.kind = 1 and j.refusal is null
                offset 0
            ) j
            where not exists (
                select 1 from payplane.payments p where p.tenant_id = j.tenant_id and p.payment_id = j.operation_id
            )
        ) i;
    end if;

    if p_with_usages then
        select array_agg(row_to_json(u)::text) into usages
        from (
            select w.tenant_id, w.subject from unnest(v_tenants, v_accounts) as w (tenant_id, subject)
            union
            select w.tenant_id, w.tenant_id from unnest(v_tenants) as w (tenant_id)
        ) wanted
        cross join lateral (
            select u.* from payplane.usages u where u.tenant_id = wanted.tenant_id and u.subject = wanted.subject
            offset 0
        ) u;
    end if;
end $$;

-- The stored decisions of these keys, as rows of the journal with the time of their batch.
create function payplane.read_decisions(p_tenants uuid[], p_operations uuid[])
returns table (
    tenant_id uuid, operation_id uuid, sequence bigint, kind smallint, origin smallint, minor bigint,
    posted bigint, pending bigint, debit_account uuid, credit_account uuid,
    debit_previous bigint, debit_posted_debits bigint, debit_posted_credits bigint, debit_pending_debits bigint,
    debit_pending_credits bigint, debit_version bigint,
    credit_previous bigint, credit_posted_debits bigint, credit_posted_credits bigint, credit_pending_debits bigint,
    credit_pending_credits bigint, credit_version bigint,
    target uuid, currency text, key text, reference text, origin_ref text, actor text, correlation_id text,
    refusal smallint, refusal_field smallint, refusal_limit smallint, terms text, after text, decided_us bigint
)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off
as $$
    select j.*, b.decided_us
    from unnest(p_tenants, p_operations) as wanted (tenant_id, operation_id)
    cross join lateral (
        select j.* from payplane.journal j
        where j.tenant_id = wanted.tenant_id and j.operation_id = wanted.operation_id
        offset 0
    ) j
    cross join lateral (
        select b.decided_us from payplane.batches b where b.batch_id = j.sequence / 1024
        offset 0
    ) b;
$$;

-- What is set for these tenants and for everybody, as rows of payplane.settings, which of them are suspended, and the
-- version of all of that.
create function payplane.read_settings(
    p_tenants uuid[], out version bigint, out settings text[], out suspended uuid[]
)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select v.version, (
        select array_agg(row_to_json(s)::text) from payplane.settings s
        where s.tenant_id = any (p_tenants) or s.tenant_id = '00000000-0000-0000-0000-000000000000'
    ), (
        select array_agg(t.tenant_id) from payplane.tenants t where t.tenant_id = any (p_tenants) and t.suspended
    )
    from payplane.settings_version v;
$$;

-- A sum that stays a bigint: sum() goes through numeric, which costs more than the adding. Too large is an error.
create aggregate payplane.total(bigint) (sfunc = int8pl, stype = bigint, initcond = '0');

-- Writes what the engine decided, after checking all of it again in sets.
--
-- The accounts' deltas are summed from the rows that are inserted, so what an account gains is what the journal says.
-- Payments, refunds and usages come with the versions that they were decided on (0: not stored yet). Gives the number
-- for a next batch, with the three after it, and the time.
--
-- A batch may be sent before the one that it was decided on has been committed, over another connection. So that it
-- comes after it, each session holds a lock named by the number that it was given last, its ticket, until its next batch
-- ends; and whoever follows that batch waits for it.
--
-- Raises PP001 if what was decided on has changed or a key was decided meanwhile (decide again), PP002 if the decision
-- does not follow from the accounts as they stand, and PP004 if the engine's idea of time or of settings is wrong. A key
-- that is there already violates journal_pkey.
create function payplane.commit_batch(
    p_ticket bigint, p_after bigint,
    p_batch bigint, p_decided_us bigint, p_settings_version bigint, p_root bytea,
    p_root_tenants uuid[], p_tenant_roots bytea[], p_tenant_rows integer[],
    p_rows payplane.journal[],
    p_wallets text[],
    p_payments text[], p_payment_bases bigint[],
    p_refunds text[], p_refund_bases bigint[],
    p_usages text[], p_usage_bases bigint[],
    out next_batch bigint, out now_us bigint
)
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
declare
    v_updated   bigint;
    v_postings  bigint;
    v_mistaken  bigint;
    v_strays    bigint;
    v_malformed bigint;
    v_count     bigint;
    v_current   boolean;
    v_held      boolean;
begin
    -- From the session to the transaction, so that the end of either frees it.
    if p_ticket is not null then
        v_held := pg_try_advisory_xact_lock(p_ticket);
        v_held := pg_advisory_unlock(p_ticket);
    end if;
    if p_after is not null and not pg_try_advisory_xact_lock_shared(p_after) then
        perform pg_advisory_xact_lock_shared(p_after);
    end if;
    now_us := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
    if abs(now_us - p_decided_us) > 5000000 then
        raise exception 'decided at another time' using errcode = 'PP004';
    end if;

    -- A wallet's floor may be lowered before money leaves it or raised after money came, but the table judges every update:
    -- until the terms are written below, the lower floor holds.
    if cardinality(p_wallets) <> 0 then
        update payplane.accounts a set floor_minor = least(a.floor_minor, w.floor_minor)
        from (select (json_populate_record(null::payplane.accounts, t::json)).* from unnest(p_wallets) t) w
        where a.tenant_id = w.tenant_id and a.account_id = w.account_id and a.kind <> 2;
    end if;

    -- In the order of the accounts, so that two batches never wait for each other in a circle. A posting in another
    -- currency than its account's, or on somebody else's account, finds no row and is missed in the count below.
    with updated as (
        update payplane.accounts a
        set posted_debits = a.posted_debits + d.debits, posted_credits = a.posted_credits + d.credits,
            pending_debits = a.pending_debits + d.held_debits, pending_credits = a.pending_credits + d.held_credits,
            version = a.version + d.counted, last_operation = d.last_sequence
        from (
            select p.tenant_id, p.account_id, p.currency, count(*) as counted, max(p.sequence) as last_sequence,
                   min(p.version) as first_version, min(p.previous) as previous_sequence,
                   total(p.debits) as debits, total(p.credits) as credits,
                   total(p.held_debits) as held_debits, total(p.held_credits) as held_credits,
                   max(p.total_debits) as total_debits, max(p.total_credits) as total_credits,
                   bit_or(p.marks) as marks
            from (
                -- Marked is money that leaves (1) or comes (2) or is promised so now, rather than taken from a former hold,
                -- and a change of the account's own terms (4).
                select r.tenant_id, r.debit_account as account_id, r.currency, r.sequence,
                       case when r.kind = 14 then 4 when 0 < r.posted + r.pending then 1 else 0 end as marks,
                       r.debit_version as version, r.debit_previous as previous, r.posted as debits, 0::bigint as credits,
                       r.pending as held_debits, 0::bigint as held_credits,
                       r.debit_posted_debits as total_debits, r.debit_posted_credits as total_credits
                from unnest(p_rows) r
                where r.debit_version is not null
                union all
                select r.tenant_id, r.credit_account, r.currency, r.sequence,
                       case when 0 < r.posted + r.pending then 2 else 0 end,
                       r.credit_version, r.credit_previous, 0, r.posted,
                       0, r.pending,
                       r.credit_posted_debits, r.credit_posted_credits
                from unnest(p_rows) r
                where r.credit_version is not null
            ) p
            group by p.tenant_id, p.account_id, p.currency
            order by p.tenant_id, p.account_id
        ) d
        where a.tenant_id = d.tenant_id and a.account_id = d.account_id and a.currency = d.currency
          and a.version = d.first_version - 1 and a.last_operation = d.previous_sequence
          and a.last_operation < p_batch * 1024
        returning
            d.counted,
            d.total_debits = a.posted_debits and d.total_credits = a.posted_credits and (
                -- Its terms change in this batch, before or after money moved: the table's constraints judge the end.
                d.marks & 4 <> 0
                or (d.marks & 1 = 0 or (
                    a.status in (1, 3) and a.floor_minor <= a.posted_credits - a.posted_debits - a.pending_debits))
                and (d.marks & 2 = 0 or a.status in (1, 2))
            ) as is_right
    )
    select coalesce(sum(u.counted), 0), count(*) filter (where u.is_right is not true) into v_updated, v_mistaken
    from updated u;

    -- After the accounts, so that whoever waits for a key holds all the accounts that it needs. Two engines that decide the
    -- same keys for other accounts meet here: the second waits for the first.
    --
    -- Counted as they come from the array, not as the insert returns them: carrying returned rows along costs a third of
    -- inserting them.
    with given as materialized (
        select r.* from unnest(p_rows) r
    ),
    inserted as (
        insert into payplane.journal select g.* from given g
    )
    select count(*), count(r.debit_version) + count(r.credit_version),
           count(*) filter (where r.sequence / 1024 <> p_batch),
           -- Money is posted, held, or what was held is taken or given back.
           count(*) filter (where not (
               r.kind between 1 and 14 and r.origin in (1, 2) and case when r.kind <= 2 then 0 < r.minor else 0 <= r.minor end
               and num_nulls(r.refusal, r.refusal_field, r.refusal_limit) in (0, 3) and coalesce(19 <= r.refusal, true)
               and coalesce(r.debit_account <> r.credit_account, true)
               and (r.posted is null or r.kind = 14 or (
                   0 <= r.posted and (r.posted <> 0 or r.pending <> 0)
                   and case when r.pending < 0 then r.posted <= -r.pending else r.posted = 0 or r.pending = 0 end))
           ))
    into v_count, v_postings, v_strays, v_malformed
    from given r;
    if v_updated <> v_postings then
        raise exception 'an account has changed since the batch was decided' using errcode = 'PP001';
    end if;
    -- Nothing is added to a batch that somebody may have sealed, and no batch is empty or has other rows than it says.
    if v_strays <> 0 or v_count = 0 then
        raise exception 'the rows are not those of the batch' using errcode = 'PP002';
    end if;
    if v_malformed <> 0 then
        raise exception 'a row of the batch has no meaning' using errcode = 'PP002';
    end if;
    if v_mistaken <> 0 then
        raise exception 'the batch does not follow from the accounts' using errcode = 'PP002';
    end if;

    if cardinality(p_wallets) <> 0 then
        update payplane.accounts a
        set status = w.status, floor_minor = w.floor_minor, ceiling_minor = w.ceiling_minor
        from (select (json_populate_record(null::payplane.accounts, t::json)).* from unnest(p_wallets) t) w
        where a.tenant_id = w.tenant_id and a.account_id = w.account_id and a.version = w.version
          and a.status <> 5 and a.kind <> 2
          and (w.status <> 5 or (a.posted_credits = a.posted_debits and a.pending_debits = 0 and a.pending_credits = 0));
        get diagnostics v_count = row_count;
        if v_count <> cardinality(p_wallets) then
            raise exception 'a wallet cannot be changed so' using errcode = 'PP002';
        end if;
    end if;

    if cardinality(p_payments) <> 0 then
        with wanted as (
            select (json_populate_record(null::payplane.payments, t.state::json)).*, t.base
            from unnest(p_payments, p_payment_bases) as t (state, base)
        ),
        updated as (
            update payplane.payments p
            set phase = w.phase, captured = w.captured, refunding = w.refunding, refunded = w.refunded,
                gateway = w.gateway, moved_at_us = w.moved_at_us, version = w.version
            from wanted w
            where w.base <> 0 and p.tenant_id = w.tenant_id and p.payment_id = w.payment_id and p.version = w.base
            returning 1
        ),
        inserted as (
            insert into payplane.payments
            select w.tenant_id, w.payment_id, w.debit_account, w.credit_account, w.currency, w.phase, w.amount,
                   w.captured, w.refunding, w.refunded, w.deadline_us, w.deadline_level, w.capture_at_us, w.gateway,
                   w.moved_at_us, w.version
            from wanted w
            where w.base = 0
            on conflict do nothing
            returning 1
        )
        select (select count(*) from updated) + (select count(*) from inserted) into v_count;
        if v_count <> cardinality(p_payments) then
            raise exception 'a payment has changed since the batch was decided' using errcode = 'PP001';
        end if;
    end if;

    if cardinality(p_refunds) <> 0 then
        with wanted as (
            select (json_populate_record(null::payplane.refunds, t.state::json)).*, t.base
            from unnest(p_refunds, p_refund_bases) as t (state, base)
        ),
        updated as (
            update payplane.refunds r
            set phase = w.phase, approver = w.approver, version = w.version
            from wanted w
            where w.base <> 0 and r.tenant_id = w.tenant_id and r.refund_id = w.refund_id and r.version = w.base
            returning 1
        ),
        inserted as (
            insert into payplane.refunds
            select w.tenant_id, w.refund_id, w.payment_id, w.amount, w.currency, w.phase, w.requester, w.approver,
                   w.version
            from wanted w
            where w.base = 0
            on conflict do nothing
            returning 1
        )
        select (select count(*) from updated) + (select count(*) from inserted) into v_count;
        if v_count <> cardinality(p_refunds) then
            raise exception 'a refund has changed since the batch was decided' using errcode = 'PP001';
        end if;
    end if;

    if cardinality(p_usages) <> 0 then
        with wanted as (
            select (json_populate_record(null::payplane.usages, t.state::json)).*, t.base
            from unnest(p_usages, p_usage_bases) as t (state, base)
            order by 1, 2, 3
        ),
        updated as (
            update payplane.usages u
            set day = w.day, day_minor = w.day_minor, day_count = w.day_count,
                month = w.month, month_minor = w.month_minor, month_count = w.month_count, version = w.version
            from wanted w
            where w.base <> 0 and u.tenant_id = w.tenant_id and u.subject = w.subject and u.currency = w.currency
              and u.version = w.base
            returning 1
        ),
        inserted as (
            insert into payplane.usages
            select w.tenant_id, w.subject, w.currency, w.day, w.day_minor, w.day_count, w.month, w.month_minor,
                   w.month_count, w.version
            from wanted w
            where w.base = 0
            on conflict do nothing
            returning 1
        )
        select (select count(*) from updated) + (select count(*) from inserted) into v_count;
        if v_count <> cardinality(p_usages) then
            raise exception 'a limit has been used since the batch was decided' using errcode = 'PP001';
        end if;
    end if;

    with batch as (
        insert into payplane.batches (batch_id, root, decided_us) values (p_batch, p_root, p_decided_us)
    ),
    unsealed as (
        insert into payplane.unsealed (batch_id) values (p_batch)
    ),
    roots as (
        insert into payplane.batch_tenants (tenant_id, batch_id, root, row_count)
        select r.tenant_id, p_batch, r.root, r.row_count
        from unnest(p_root_tenants, p_tenant_roots, p_tenant_rows) as r (tenant_id, root, row_count)
        returning row_count
    )
    select coalesce(sum(r.row_count), 0),
           exists (select from payplane.settings_version s where s.version = p_settings_version)
    into v_postings, v_current
    from roots r;
    if not v_current then
        raise exception 'decided with other settings' using errcode = 'PP004';
    end if;
    if v_postings <> cardinality(p_rows) then
        raise exception 'the rows are not those of the batch' using errcode = 'PP002';
    end if;
    next_batch := nextval('payplane.batch_ids');
    -- A number from the future would keep the accounts from ever changing again.
    if next_batch <= p_batch then
        raise exception 'the number of the batch was not drawn' using errcode = 'PP002';
    end if;
    v_held := pg_try_advisory_lock(next_batch);
end $$;

-- Gives committed batches their gapless numbers and chains their roots. Returns how many it sealed; 0 also while
-- somebody else seals.
create function payplane.seal_batches(p_max integer)
returns integer
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
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

-- Holds whose deadline has passed or whose date has come, of all tenants, the oldest first, a page at a time.
create function payplane.due_payments(p_after_us bigint, p_after uuid, p_max integer)
returns table (tenant_id uuid, payment_id uuid, is_expired boolean, due_us bigint, now_us bigint)
language sql volatile security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
    with moment as materialized (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as now_us)
    select p.tenant_id, p.payment_id, coalesce(p.deadline_us <= m.now_us, false),
           least(p.deadline_us, p.capture_at_us), m.now_us
    from moment m, payplane.payments p
    where p.phase = 1 and least(p.deadline_us, p.capture_at_us) between p_after_us and m.now_us
      and (least(p.deadline_us, p.capture_at_us), p.payment_id) > (p_after_us, p_after)
    order by least(p.deadline_us, p.capture_at_us), p.payment_id
    limit p_max;
$$;
