-- What `payplane-engine verify` asks. Nothing here writes.
--
-- Rows that the engine has to hash come in pages, in the order of an index, so nobody's memory grows with the ledger.
-- Everything else is compared here in sets, sorted on disk where memory is too small, and only what is wrong goes back:
-- a few examples, each with the number of all. Sums are numeric: what somebody wrote into a row must not end the check.
--
-- Everything is read in one snapshot: the caller's transaction is REPEATABLE READ.

-- How many rows there are of each kind.
create function payplane.verify_counts(
    out journal bigint, out refused bigint, out postings bigint, out accounts bigint, out tenants bigint,
    out payments bigint, out refunds bigint, out batches bigint, out batch_tenants bigint, out seals bigint,
    out unsealed bigint, out wallet_changes bigint, out currencies bigint,
    -- Nothing is wrong with these.
    out overdue_holds bigint, out settlements_beyond_cap bigint
)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
    select j.counted, j.refused, j.postings, a.counted, (select count(*) from payplane.tenants),
           p.counted, (select count(*) from payplane.refunds), (select count(*) from payplane.batches),
           (select count(*) from payplane.batch_tenants), (select count(*) from payplane.seals),
           (select count(*) from payplane.unsealed), j.wallet_changes, a.currencies, p.overdue, a.beyond_cap
    from (
        select count(*) as counted, count(*) filter (where refusal is not null) as refused,
               count(debit_version) + count(credit_version) as postings,
               count(*) filter (where kind = 14 and refusal is null) as wallet_changes
        from payplane.journal
    ) j, (
        select count(*) as counted, count(distinct (tenant_id, currency)) as currencies,
               count(*) filter (
                   where kind = 2 and posted_credits::numeric - posted_debits - pending_debits < floor_minor
               ) as beyond_cap
        from payplane.accounts
    ) a, (
        select count(*) as counted,
               count(*) filter (where phase = 1 and deadline_us <= extract(epoch from now()) * 1000000) as overdue
        from payplane.payments
    ) p;
$$;

-- A page of the journal with the time of each row's batch, 0 if there is no such batch.
create function payplane.verify_journal(p_tenant uuid, p_sequence bigint, p_max integer)
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
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set enable_sort = off
set enable_bitmapscan = off set jit = off
as $$
    select j.*, coalesce(b.decided_us, 0)
    from (
        select * from payplane.journal j
        where (j.tenant_id, j.sequence) > (p_tenant, p_sequence) and 0 < j.sequence
        order by j.tenant_id, j.sequence
        limit least(p_max, 10000)
    ) j
    left join payplane.batches b on b.batch_id = j.sequence / 1024
    order by j.tenant_id, j.sequence;
$$;

-- A page of the roots of tenants.
create function payplane.verify_roots(p_tenant uuid, p_batch bigint, p_max integer)
returns table (tenant_id uuid, batch_id bigint, root bytea, row_count integer)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set enable_seqscan = off set enable_sort = off set enable_bitmapscan = off set jit = off
as $$
    select r.tenant_id, r.batch_id, r.root, r.row_count
    from payplane.batch_tenants r
    where (r.tenant_id, r.batch_id) > (p_tenant, p_batch)
    order by r.tenant_id, r.batch_id
    limit least(p_max, 10000);
$$;

-- The effect of each operation on each account. Not a definer's function, so that it becomes part of the query that asks.
create function payplane.verify_postings()
returns table (
    tenant_id uuid, account_id uuid, operation_id uuid, sequence bigint, currency text,
    debits bigint, credits bigint, held_debits bigint, held_credits bigint,
    previous bigint, posted_debits bigint, posted_credits bigint, pending_debits bigint, pending_credits bigint,
    version bigint
)
language sql stable
as $$
    select j.tenant_id, j.debit_account, j.operation_id, j.sequence, j.currency,
           j.posted, 0::bigint, j.pending, 0::bigint,
           j.debit_previous, j.debit_posted_debits, j.debit_posted_credits, j.debit_pending_debits,
           j.debit_pending_credits, j.debit_version
    from payplane.journal j
    where j.debit_version is not null
    union all
    select j.tenant_id, j.credit_account, j.operation_id, j.sequence, j.currency,
           0::bigint, j.posted, 0::bigint, j.pending,
           j.credit_previous, j.credit_posted_debits, j.credit_posted_credits, j.credit_pending_debits,
           j.credit_pending_credits, j.credit_version
    from payplane.journal j
    where j.credit_version is not null;
$$;

-- Null for what is no JSON: then the hash over the row is wrong too, and says so.
create function payplane.verify_json(p_text text)
returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    return p_text::jsonb;
exception when others then
    return null;
end $$;

-- Accounts whose totals, version or last operation are not what the journal adds up to.
create function payplane.verify_balances(p_examples integer)
returns table (tenant_id uuid, account_id uuid, operation_id uuid, batch_id bigint, problem text, found bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set work_mem = '32MB' set jit = off
as $$
    with summed as (
        select p.tenant_id, p.account_id, count(*) as version, max(p.sequence) as last_operation,
               sum(p.debits) as posted_debits, sum(p.credits) as posted_credits,
               sum(p.held_debits) as pending_debits, sum(p.held_credits) as pending_credits
        from payplane.verify_postings() p
        group by p.tenant_id, p.account_id
    )
    select coalesce(a.tenant_id, s.tenant_id), coalesce(a.account_id, s.account_id), null::uuid, null::bigint,
           concat_ws(', ',
               case when a.account_id is null then 'there is no such account' end,
               case when a.posted_debits <> coalesce(s.posted_debits, 0) then 'posted_debits' end,
               case when a.posted_credits <> coalesce(s.posted_credits, 0) then 'posted_credits' end,
               case when a.pending_debits <> coalesce(s.pending_debits, 0) then 'pending_debits' end,
               case when a.pending_credits <> coalesce(s.pending_credits, 0) then 'pending_credits' end,
               case when a.version <> coalesce(s.version, 0) then 'version' end,
               case when a.last_operation <> coalesce(s.last_operation, 0) then 'last_operation' end),
           count(*) over ()
    from payplane.accounts a
    full join summed s on s.tenant_id = a.tenant_id and s.account_id = a.account_id
    where a.account_id is null
       or (a.posted_debits, a.posted_credits, a.pending_debits, a.pending_credits, a.version, a.last_operation)
          is distinct from (
              coalesce(s.posted_debits, 0), coalesce(s.posted_credits, 0), coalesce(s.pending_debits, 0),
              coalesce(s.pending_credits, 0), coalesce(s.version, 0), coalesce(s.last_operation, 0))
    limit p_examples;
$$;

-- Operations that do not follow from the operation before them on one of their accounts.
create function payplane.verify_account_chains(p_examples integer)
returns table (tenant_id uuid, account_id uuid, operation_id uuid, batch_id bigint, problem text, found bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set work_mem = '32MB' set jit = off
as $$
    with chained as (
        select p.*, lag(p.sequence) over history as before,
               coalesce(lag(p.version) over history, 0)::numeric + 1 as next_version,
               coalesce(lag(p.posted_debits) over history, 0)::numeric + p.debits as next_posted_debits,
               coalesce(lag(p.posted_credits) over history, 0)::numeric + p.credits as next_posted_credits,
               coalesce(lag(p.pending_debits) over history, 0)::numeric + p.held_debits as next_pending_debits,
               coalesce(lag(p.pending_credits) over history, 0)::numeric + p.held_credits as next_pending_credits
        from payplane.verify_postings() p
        window history as (partition by p.tenant_id, p.account_id order by p.version, p.sequence)
    )
    select c.tenant_id, c.account_id, c.operation_id, c.sequence / 1024,
           concat_ws(', ',
               case when c.version is distinct from c.next_version then 'version' end,
               case when c.previous is distinct from coalesce(c.before, 0) then 'previous' end,
               case when c.sequence <= c.before then 'sequence' end,
               case when c.posted_debits is distinct from c.next_posted_debits then 'posted_debits' end,
               case when c.posted_credits is distinct from c.next_posted_credits then 'posted_credits' end,
               case when c.pending_debits is distinct from c.next_pending_debits then 'pending_debits' end,
               case when c.pending_credits is distinct from c.next_pending_credits then 'pending_credits' end),
           count(*) over ()
    from chained c
    where c.sequence <= c.before
       or (c.version, c.previous, c.posted_debits, c.posted_credits, c.pending_debits, c.pending_credits)
          is distinct from (
              c.next_version, coalesce(c.before, 0), c.next_posted_debits, c.next_posted_credits,
              c.next_pending_debits, c.next_pending_credits)
    limit p_examples;
$$;

-- Batches whose root is not the one over the roots of their tenants, or that have none.
create function payplane.verify_batches(p_examples integer)
returns table (tenant_id uuid, account_id uuid, operation_id uuid, batch_id bigint, problem text, found bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set work_mem = '32MB' set jit = off
as $$
    with roots as (
        -- payplane_ledger::BatchSeal computes the same.
        select r.batch_id, sha256(
                   int8send(22) || 'payplane.batch-root.v1'::bytea
                   || string_agg(int8send(16) || uuid_send(r.tenant_id) || int8send(32) || r.root, ''::bytea
                                 order by r.tenant_id)
               ) as root
        from payplane.batch_tenants r
        group by r.batch_id
    )
    select null::uuid, null::uuid, null::uuid, coalesce(b.batch_id, r.batch_id),
           case when b.batch_id is null then 'roots of tenants without a batch'
                when r.batch_id is null then 'a batch without rows'
                else 'the root is not the one over the roots of the tenants' end,
           count(*) over ()
    from payplane.batches b
    full join roots r on r.batch_id = b.batch_id
    where b.root is distinct from r.root
    limit p_examples;
$$;

-- Batches that are not either sealed once or waiting to be.
create function payplane.verify_sealing(p_examples integer)
returns table (tenant_id uuid, account_id uuid, operation_id uuid, batch_id bigint, problem text, found bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set work_mem = '32MB' set jit = off
as $$
    with marked as (
        select m.batch_id, count(*) as marks
        from (select s.batch_id from payplane.seals s union all select u.batch_id from payplane.unsealed u) m
        group by m.batch_id
    )
    select null::uuid, null::uuid, null::uuid, coalesce(b.batch_id, m.batch_id),
           case when b.batch_id is null then 'sealed, or to be sealed, but not there'
                when m.batch_id is null then 'neither sealed nor waiting to be'
                else 'sealed twice, or sealed and waiting to be' end,
           count(*) over ()
    from payplane.batches b
    full join marked m on m.batch_id = b.batch_id
    where b.batch_id is null or m.marks is distinct from 1
    limit p_examples;
$$;

-- Payments that do not stand as the operations on them left them: once added up from what was moved and held, and once
-- as the last of these operations says.
create function payplane.verify_payments(p_examples integer)
returns table (tenant_id uuid, account_id uuid, operation_id uuid, batch_id bigint, problem text, found bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set work_mem = '32MB' set jit = off
as $$
    with acts as (
        select j.tenant_id,
               case when j.kind = 2 then j.operation_id when j.kind in (11, 12) then r.payment_id else j.target
               end as payment_id,
               j.sequence, j.kind, j.posted, j.pending, j.after
        from payplane.journal j
        left join payplane.refunds r
          on j.kind in (11, 12) and r.tenant_id = j.tenant_id and r.refund_id = j.target
        where j.refusal is null and j.kind between 2 and 13
    ),
    summed as (
        select a.tenant_id, a.payment_id, count(*) as version,
               sum(a.pending) filter (where a.kind = 2) as held,
               coalesce(sum(a.pending), 0) as open,
               coalesce(sum(a.posted) filter (where a.kind in (3, 6, 8)), 0) as captured,
               coalesce(sum(a.posted) filter (where a.kind in (10, 11, 13)), 0) as refunded,
               bool_or(a.kind = 7) as is_handed_over, bool_or(a.kind = 9) as is_failed,
               bool_or(a.kind = 5) as is_expired,
               payplane.verify_json((array_agg(a.after order by a.sequence desc))[1]) as last
        from acts a
        group by a.tenant_id, a.payment_id
    ),
    derived as (
        select s.tenant_id, s.payment_id, s.version, s.refunded,
               made.debit_account, made.credit_account, made.currency,
               coalesce(s.held, made.posted) as amount,
               case when s.held is null then made.posted else s.captured end as captured,
               case when s.held is null then 3
                    when 0 < s.open then case when s.is_handed_over then 2 else 1 end
                    when 0 < s.captured then 3
                    when s.is_failed then 4
                    when s.is_expired then 6
                    else 5 end as phase,
               coalesce(s.last -> 'Payment', s.last -> 'Refund' -> 1) as state
        from summed s
        left join payplane.journal made
          on made.tenant_id = s.tenant_id and made.operation_id = s.payment_id
         and made.kind in (1, 2) and made.refusal is null
    ),
    compared as (
        select coalesce(p.tenant_id, d.tenant_id) as tenant_id, coalesce(p.payment_id, d.payment_id) as payment_id,
               concat_ws(', ',
                   case when p.payment_id is null then 'there is no such payment' end,
                   case when p.debit_account is distinct from d.debit_account then 'debit_account' end,
                   case when p.credit_account is distinct from d.credit_account then 'credit_account' end,
                   case when p.currency is distinct from d.currency then 'currency' end,
                   case when p.phase is distinct from d.phase then 'phase' end,
                   case when p.amount is distinct from d.amount then 'amount' end,
                   case when p.captured is distinct from d.captured then 'captured' end,
                   case when p.refunded is distinct from d.refunded then 'refunded' end,
                   case when p.version is distinct from d.version then 'version' end,
                   case when not coalesce(d.state @> jsonb_build_object(
                       'debit', p.debit_account, 'credit', p.credit_account, 'currency', p.currency,
                       'phase', (array['Pending', 'Processing', 'Completed', 'Failed', 'Voided', 'Expired'])[p.phase],
                       'amount', p.amount, 'captured', p.captured, 'refunding', p.refunding, 'refunded', p.refunded,
                       'deadline', p.deadline_us,
                       'deadline_level', (array['Platform', 'Tenant', 'Class', 'Wallet'])[p.deadline_level],
                       'capture_at', p.capture_at_us, 'gateway', p.gateway, 'moved_at', p.moved_at_us,
                       'version', p.version), false) then 'not as its last operation left it' end
               ) as problem
        from payplane.payments p
        full join derived d on d.tenant_id = p.tenant_id and d.payment_id = p.payment_id
    )
    select c.tenant_id, null::uuid, c.payment_id, null::bigint, c.problem, count(*) over ()
    from compared c
    where c.problem <> ''
    limit p_examples;
$$;

-- Accounts whose held totals are not the sum of their open holds.
create function payplane.verify_holds(p_examples integer)
returns table (tenant_id uuid, account_id uuid, operation_id uuid, batch_id bigint, problem text, found bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set work_mem = '32MB' set jit = off
as $$
    with sides as (
        select p.tenant_id, p.debit_account as account_id, p.amount::numeric - p.captured as debits, 0 as credits
        from payplane.payments p
        where p.phase in (1, 2)
        union all
        select p.tenant_id, p.credit_account, 0, p.amount::numeric - p.captured
        from payplane.payments p
        where p.phase in (1, 2)
    ),
    open as (
        select s.tenant_id, s.account_id, sum(s.debits) as debits, sum(s.credits) as credits
        from sides s
        group by s.tenant_id, s.account_id
    )
    select coalesce(a.tenant_id, o.tenant_id), coalesce(a.account_id, o.account_id), null::uuid, null::bigint,
           concat_ws(', ',
               case when coalesce(a.pending_debits, 0) <> coalesce(o.debits, 0) then 'pending_debits' end,
               case when coalesce(a.pending_credits, 0) <> coalesce(o.credits, 0) then 'pending_credits' end),
           count(*) over ()
    from payplane.accounts a
    full join open o on o.tenant_id = a.tenant_id and o.account_id = a.account_id
    where (coalesce(a.pending_debits, 0), coalesce(a.pending_credits, 0))
          is distinct from (coalesce(o.debits, 0), coalesce(o.credits, 0))
    limit p_examples;
$$;

-- Refunds that do not stand as the operations on them left them.
create function payplane.verify_refunds(p_examples integer)
returns table (tenant_id uuid, account_id uuid, operation_id uuid, batch_id bigint, problem text, found bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set work_mem = '32MB' set jit = off
as $$
    with made as (
        -- A reversal that gave a hold back made no refund.
        select j.tenant_id, j.operation_id as refund_id, j.target as payment_id, j.posted, j.currency, j.actor,
               j.after
        from payplane.journal j
        where j.refusal is null and (j.kind = 10 or j.kind = 13 and (j.posted is null or 0 < j.posted))
    ),
    decided as (
        select j.tenant_id, j.target as refund_id, count(*) as decisions, max(j.kind) as kind,
               max(j.posted) as posted, max(j.actor) as actor,
               (array_agg(j.after order by j.sequence desc))[1] as after
        from payplane.journal j
        where j.refusal is null and j.kind in (11, 12)
        group by j.tenant_id, j.target
    ),
    derived as (
        select coalesce(m.tenant_id, d.tenant_id) as tenant_id, coalesce(m.refund_id, d.refund_id) as refund_id,
               m.payment_id, m.currency, m.actor as requester, coalesce(d.actor, '') as approver,
               1 + coalesce(d.decisions, 0) as version, coalesce(m.posted, d.posted) as moved,
               case when d.kind = 12 then 4
                    when coalesce(m.posted, d.posted) is not null then 3
                    when d.kind = 11 then 5
                    else 1 end as phase,
               payplane.verify_json(coalesce(d.after, m.after)) -> 'Refund' -> 0 as state
        from made m
        full join decided d on d.tenant_id = m.tenant_id and d.refund_id = m.refund_id
    ),
    compared as (
        select coalesce(r.tenant_id, d.tenant_id) as tenant_id, coalesce(r.refund_id, d.refund_id) as refund_id,
               concat_ws(', ',
                   case when r.refund_id is null then 'there is no such refund' end,
                   case when r.payment_id is distinct from d.payment_id then 'payment_id' end,
                   case when r.currency is distinct from d.currency then 'currency' end,
                   case when r.requester is distinct from d.requester then 'requester' end,
                   case when r.approver is distinct from d.approver then 'approver' end,
                   case when r.version is distinct from d.version then 'version' end,
                   case when r.phase is distinct from d.phase then 'phase' end,
                   case when r.amount <> d.moved then 'amount' end,
                   case when not coalesce(d.state @> jsonb_build_object(
                       'payment', r.payment_id, 'amount', r.amount, 'currency', r.currency,
                       'phase', (array['Requested', 'Approved', 'Completed', 'Rejected', 'Failed'])[r.phase],
                       'requester', r.requester, 'approver', r.approver, 'version', r.version), false)
                       then 'not as its last operation left it' end
               ) as problem
        from payplane.refunds r
        full join derived d on d.tenant_id = r.tenant_id and d.refund_id = r.refund_id
    )
    select c.tenant_id, null::uuid, c.refund_id, null::bigint, c.problem, count(*) over ()
    from compared c
    where c.problem <> ''
    limit p_examples;
$$;

-- Payments of which more was given back than was taken, or not what their refunds add up to.
create function payplane.verify_refund_caps(p_examples integer)
returns table (tenant_id uuid, account_id uuid, operation_id uuid, batch_id bigint, problem text, found bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set work_mem = '32MB' set jit = off
as $$
    with summed as (
        select r.tenant_id, r.payment_id,
               coalesce(sum(r.amount) filter (where r.phase in (1, 2)), 0) as refunding,
               coalesce(sum(r.amount) filter (where r.phase = 3), 0) as refunded
        from payplane.refunds r
        group by r.tenant_id, r.payment_id
    ),
    compared as (
        select coalesce(p.tenant_id, s.tenant_id) as tenant_id, coalesce(p.payment_id, s.payment_id) as payment_id,
               concat_ws(', ',
                   case when p.payment_id is null then 'refunds of a payment that is not there' end,
                   case when p.refunding <> coalesce(s.refunding, 0) then 'refunding' end,
                   case when p.refunded <> coalesce(s.refunded, 0) then 'refunded' end,
                   case when p.captured < coalesce(s.refunding + s.refunded, 0) then 'more than was captured' end
               ) as problem
        from payplane.payments p
        full join summed s on s.tenant_id = p.tenant_id and s.payment_id = p.payment_id
    )
    select c.tenant_id, null::uuid, c.payment_id, null::bigint, c.problem, count(*) over ()
    from compared c
    where c.problem <> ''
    limit p_examples;
$$;

-- Tenants and currencies in which debits and credits differ, or the accounts from the journal.
create function payplane.verify_currency_sums(p_examples integer)
returns table (tenant_id uuid, account_id uuid, operation_id uuid, batch_id bigint, problem text, found bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set work_mem = '32MB' set jit = off
as $$
    with held as (
        select a.tenant_id, a.currency, sum(a.posted_debits) as debits, sum(a.posted_credits) as credits,
               sum(a.pending_debits) as pending_debits, sum(a.pending_credits) as pending_credits
        from payplane.accounts a
        group by a.tenant_id, a.currency
    ),
    moved as (
        select j.tenant_id, j.currency, sum(j.posted) as posted, sum(j.pending) as pending
        from payplane.journal j
        where j.posted is not null
        group by j.tenant_id, j.currency
    ),
    compared as (
        select coalesce(h.tenant_id, m.tenant_id) as tenant_id, coalesce(h.currency, m.currency) as currency,
               concat_ws(', ',
                   case when h.debits is distinct from h.credits then 'debits and credits differ' end,
                   case when h.pending_debits is distinct from h.pending_credits
                        then 'held debits and credits differ' end,
                   case when coalesce(h.debits, 0) <> coalesce(m.posted, 0) then 'debits are not those posted' end,
                   case when coalesce(h.credits, 0) <> coalesce(m.posted, 0) then 'credits are not those posted' end,
                   case when coalesce(h.pending_debits, 0) <> coalesce(m.pending, 0)
                        then 'held money is not that of the journal' end
               ) as problem
        from held h
        full join moved m on m.tenant_id = h.tenant_id and m.currency = h.currency
    )
    select c.tenant_id, null::uuid, null::uuid, null::bigint, c.currency || ': ' || c.problem, count(*) over ()
    from compared c
    where c.problem <> ''
    limit p_examples;
$$;

-- Operations in another currency than one of their accounts.
create function payplane.verify_currencies(p_examples integer)
returns table (tenant_id uuid, account_id uuid, operation_id uuid, batch_id bigint, problem text, found bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set work_mem = '32MB' set jit = off
as $$
    select p.tenant_id, p.account_id, p.operation_id, p.sequence / 1024,
           'the account is of another currency, or not there', count(*) over ()
    from payplane.verify_postings() p
    left join payplane.accounts a on a.tenant_id = p.tenant_id and a.account_id = p.account_id
    where a.currency is distinct from p.currency
    limit p_examples;
$$;

-- Accounts whose status, floor or ceiling are not what the last change of them says or, if there was none, what they were
-- created with. The floor of a settlement account is its cap, which is set outside the journal.
create function payplane.verify_wallet_terms(p_examples integer)
returns table (tenant_id uuid, account_id uuid, operation_id uuid, batch_id bigint, problem text, found bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set work_mem = '32MB' set jit = off
as $$
    with changed as (
        select distinct on (j.tenant_id, j.debit_account) j.tenant_id, j.debit_account as account_id, j.operation_id,
               j.after
        from payplane.journal j
        where j.kind = 14 and j.refusal is null
        order by j.tenant_id, j.debit_account, j.sequence desc
    )
    select a.tenant_id, a.account_id, c.operation_id, null::bigint, 'status, floor or ceiling', count(*) over ()
    from payplane.accounts a
    left join changed c on c.tenant_id = a.tenant_id and c.account_id = a.account_id
    left join payplane.wallets w on w.tenant_id = a.tenant_id and w.account_id = a.account_id
    where not case
        when c.account_id is not null then coalesce(
            payplane.verify_json(c.after) -> 'Wallet' @> jsonb_build_object(
                'status', (array['Active', 'FrozenDebit', 'FrozenCredit', 'Frozen', 'Closed'])[a.status],
                'floor', a.floor_minor, 'ceiling', a.ceiling_minor), false)
        else a.status = 1 and (
            a.kind = 2 or (a.floor_minor, a.ceiling_minor)
            is not distinct from (coalesce(w.first_floor_minor, 0), w.first_ceiling_minor))
        end
    limit p_examples;
$$;
