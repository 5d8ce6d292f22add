-- Publishing the sealed journal to Kafka: how far it has come, what could not be sent, and who decided what about it.
--
-- Nothing waits here to be sent. The journal is the queue: a publisher reads it under the seals after its position, and
-- moves the position when Kafka has acknowledged all that it read.

-- Which tenants a batch is about, for whoever reads all of them in the order of the seals. One entry per tenant and batch,
-- appended.
create index batch_tenants_batch on payplane.batch_tenants (batch_id);

create table payplane.event_head (
    only_row   boolean not null default true,
    -- Grows with every publisher that takes over and with every replay. Who has an older one moves nothing.
    epoch      bigint  not null default 0,
    -- All under the seals up to this one was acknowledged, or is a dead letter.
    seal       bigint  not null default 0,
    -- Why nothing moves at the moment; empty if it does.
    problem    text    not null default '',
    -- When the position last moved, or when the problem began; microseconds since 1970.
    changed_us bigint  not null default 0,
    constraint event_head_pkey primary key (only_row),
    constraint event_head_has_one_row check (only_row),
    constraint event_head_not_negative check (0 <= epoch and 0 <= seal),
    constraint event_head_problem_bounded check (length(problem) <= 512)
);

insert into payplane.event_head default values;

-- Events that Kafka refuses for what they are. The event itself follows from the journal, so only its name is kept.
create table payplane.dead_letters (
    tenant_id    uuid     not null,
    operation_id uuid     not null,
    -- The wallet whose event it is.
    account_id   uuid     not null,
    seal         bigint   not null,
    -- 1 waits, 2 is to be sent again, 3 was sent after all, 4 was dropped.
    state        smallint not null default 1,
    problem      text     not null,
    attempts     integer  not null default 1,
    failed_us    bigint   not null,
    -- Who last decided about it, and why; empty before that.
    decided_by   text     not null default '',
    reason       text     not null default '',
    constraint dead_letters_pkey primary key (tenant_id, operation_id, account_id),
    constraint dead_letters_state_known check (state between 1 and 4),
    constraint dead_letters_texts_bounded check (
        length(problem) <= 512 and length(decided_by) <= 1024 and length(reason) <= 256
    )
);

create index dead_letters_open on payplane.dead_letters (state, seal) where state in (1, 2);

-- Who had an event sent again, dropped, or the journal replayed, and why. Rows never change.
create table payplane.event_acts (
    act_id       bigint   not null generated always as identity,
    -- 1 sent again, 2 dropped, 3 replayed.
    act          smallint not null,
    actor        text     not null,
    reason       text     not null,
    -- The first seal of a replay, or that of the event.
    seal         bigint   not null,
    operation_id uuid,
    account_id   uuid,
    acted_us     bigint   not null,
    constraint event_acts_pkey primary key (act_id),
    constraint event_acts_act_known check (act between 1 and 3)
);

-- For whoever holds the advisory lock of the publisher: from here on nobody else moves the position.
create function payplane.claim_events(out epoch bigint, out seal bigint)
language sql volatile security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
    update payplane.event_head h set epoch = h.epoch + 1 where h.only_row returning h.epoch, h.seal;
$$;

-- Where things stand, cheap enough to be asked ten times a second. At most p_max dead letters are counted.
create function payplane.look_events(
    p_max bigint, out epoch bigint, out seal bigint, out newest bigint, out waiting bigint, out retries bigint
)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
    select h.epoch, h.seal, s.seal,
           (select count(*) from (select from payplane.dead_letters d where d.state = 1 limit p_max) d),
           (select count(*) from (select from payplane.dead_letters d where d.state = 2 limit p_max) d)
    from payplane.event_head h, payplane.seal_head s;
$$;

-- What was decided under the seals after p_after, of all tenants, in the order of the seals: whole batches, with at most
-- p_max operations unless the first batch has more, and at most p_seals seals. `home` is the wallet that an operation is
-- about which changed none: the payer's.
create function payplane.read_events(p_after bigint, p_seals integer, p_max bigint)
returns table (
    seal bigint, tenant_name text, home uuid,
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
    with sealed as materialized (
        select s.seal, s.batch_id from payplane.seals s where p_after < s.seal order by s.seal limit p_seals
    ),
    sized as materialized (
        select s.seal, t.tenant_id, s.batch_id * 1024 as first, (s.batch_id + 1) * 1024 as above,
               -- Of all batches up to this one, and all tenants in it.
               sum(t.row_count) over (order by s.seal) as so_far, min(s.seal) over () as first_seal
        from sealed s
        cross join lateral (
            select t.tenant_id, t.row_count from payplane.batch_tenants t where t.batch_id = s.batch_id offset 0
        ) t
    )
    select p.seal, n.name, coalesce(j.debit_account, h.debit_account, r.debit_account), j.*, b.decided_us
    from sized p
    cross join lateral (
        select j.* from payplane.journal j
        where j.tenant_id = p.tenant_id and p.first <= j.sequence and j.sequence < p.above and 0 < j.sequence
        offset 0
    ) j
    cross join lateral (
        select b.decided_us from payplane.batches b where b.batch_id = j.sequence / 1024 offset 0
    ) b
    left join payplane.tenants n on n.tenant_id = p.tenant_id
    left join lateral (
        select q.debit_account from payplane.payments q
        where j.debit_account is null and q.tenant_id = j.tenant_id and q.payment_id = j.target offset 0
    ) h on true
    left join lateral (
        select q.debit_account from payplane.refunds f
        join payplane.payments q on q.tenant_id = f.tenant_id and q.payment_id = f.payment_id
        where j.debit_account is null and f.tenant_id = j.tenant_id and f.refund_id = j.target offset 0
    ) r on true
    where p.so_far <= p_max or p.seal = p.first_seal
    order by p.seal, j.sequence;
$$;

-- The same for dead letters that are to be sent again; `home` is the wallet whose event it is.
create function payplane.read_retries(p_max integer)
returns table (
    seal bigint, tenant_name text, home uuid,
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
    select d.seal, n.name, d.account_id, j.*, b.decided_us
    from (
        select d.* from payplane.dead_letters d where d.state = 2 order by d.seal limit p_max
    ) d
    cross join lateral (
        select j.* from payplane.journal j
        where j.tenant_id = d.tenant_id and j.operation_id = d.operation_id offset 0
    ) j
    cross join lateral (
        select b.decided_us from payplane.batches b where b.batch_id = j.sequence / 1024 offset 0
    ) b
    left join payplane.tenants n on n.tenant_id = d.tenant_id
    order by d.seal, j.sequence;
$$;

-- Moves the position to p_seal and keeps what was refused on the way, in one commit. False, and nothing done, if somebody
-- else publishes by now or the position was set anew. A letter that was dropped stays so.
create function payplane.advance_events(
    p_epoch bigint, p_seal bigint,
    p_tenants uuid[], p_operations uuid[], p_accounts uuid[], p_seals bigint[], p_problems text[]
)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
declare
    v_now bigint := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
begin
    update payplane.event_head h set seal = p_seal, problem = '', changed_us = v_now
    where h.epoch = p_epoch and h.seal <= p_seal;
    if not found then
        return false;
    end if;
    insert into payplane.dead_letters as d (tenant_id, operation_id, account_id, seal, problem, failed_us)
    select w.tenant_id, w.operation_id, w.account_id, w.seal, left(w.problem, 512), v_now
    from unnest(p_tenants, p_operations, p_accounts, p_seals, p_problems)
         as w (tenant_id, operation_id, account_id, seal, problem)
    on conflict (tenant_id, operation_id, account_id) do update
    set state = case d.state when 4 then 4 else 1 end, problem = excluded.problem, attempts = d.attempts + 1,
        failed_us = excluded.failed_us;
    return true;
end $$;

-- Says what became of letters that were sent again: sent where the problem is null. One that was dropped meanwhile stays
-- so.
create function payplane.settle_retries(
    p_epoch bigint, p_tenants uuid[], p_operations uuid[], p_accounts uuid[], p_problems text[]
)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
begin
    perform 1 from payplane.event_head h where h.epoch = p_epoch for update;
    if not found then
        return false;
    end if;
    update payplane.dead_letters d
    set state = case when w.problem is null then 3 else 1 end, problem = coalesce(left(w.problem, 512), d.problem),
        attempts = d.attempts + 1,
        failed_us = case when w.problem is null then d.failed_us
                         else (extract(epoch from clock_timestamp()) * 1000000)::bigint end
    from unnest(p_tenants, p_operations, p_accounts, p_problems) as w (tenant_id, operation_id, account_id, problem)
    where d.tenant_id = w.tenant_id and d.operation_id = w.operation_id and d.account_id = w.account_id and d.state = 2;
    return true;
end $$;

-- Says why nothing moves. Written when it changes.
create function payplane.note_event_problem(p_epoch bigint, p_problem text)
returns void
language sql volatile security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
    update payplane.event_head h
    set problem = left(p_problem, 512), changed_us = (extract(epoch from clock_timestamp()) * 1000000)::bigint
    where h.epoch = p_epoch and h.problem <> left(p_problem, 512);
$$;

-- For status and metrics: the position, the chain's end, when the first seal after the position was made, and whether
-- somebody holds the advisory lock of the publisher.
create function payplane.event_status(
    p_max bigint, out seal bigint, out newest bigint, out waiting_since_us bigint, out now_us bigint,
    out letters bigint, out problem text, out changed_us bigint, out is_published boolean
)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
    select h.seal, s.seal,
           (select n.sealed_us from payplane.seals n where n.seal = h.seal + 1),
           (extract(epoch from clock_timestamp()) * 1000000)::bigint,
           (select count(*) from (select from payplane.dead_letters d where d.state in (1, 2) limit p_max) d),
           h.problem, h.changed_us,
           exists (
               select from pg_locks l
               where l.locktype = 'advisory' and l.classid = 1886413172 and l.objid = 1 and l.objsubid = 2
                 and l.database = (select d.oid from pg_database d where d.datname = current_database()) and l.granted
           )
    from payplane.event_head h, payplane.seal_head s;
$$;

-- Sets the position back, so that all from p_start on is published again. Null, and nothing done, if that is not behind
-- the position: going forward would lose events.
create function payplane.replay_events(p_start bigint, p_actor text, p_reason text)
returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
declare
    v_before bigint;
begin
    select h.seal into v_before from payplane.event_head h for update;
    if p_start < 1 or v_before + 1 < p_start then
        return null;
    end if;
    update payplane.event_head set seal = p_start - 1, epoch = epoch + 1 where only_row;
    insert into payplane.event_acts (act, actor, reason, seal, acted_us)
    values (3, p_actor, p_reason, p_start, (extract(epoch from clock_timestamp()) * 1000000)::bigint);
    return v_before;
end $$;

-- Dead letters in the order of their seals, after the given one; settled ones too if p_all.
create function payplane.list_dead_letters(
    p_seal bigint, p_operation uuid, p_account uuid, p_all boolean, p_max integer
)
returns table (
    tenant_id uuid, tenant_name text, operation_id uuid, account_id uuid, seal bigint, state smallint, problem text,
    attempts integer, failed_us bigint, decided_by text, reason text
)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
    select d.tenant_id, n.name, d.operation_id, d.account_id, d.seal, d.state, d.problem, d.attempts, d.failed_us,
           d.decided_by, d.reason
    from payplane.dead_letters d
    left join payplane.tenants n on n.tenant_id = d.tenant_id
    where (d.seal, d.operation_id, d.account_id) > (p_seal, p_operation, p_account) and (p_all or d.state in (1, 2))
    order by d.seal, d.operation_id, d.account_id
    limit p_max;
$$;

-- Has a letter sent again (1) or drops it (2), and says in which state it was; null if there is none. Only one that waits
-- is changed.
create function payplane.decide_dead_letter(
    p_operation uuid, p_account uuid, p_act smallint, p_actor text, p_reason text
)
returns smallint
language plpgsql volatile security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
declare
    v_found payplane.dead_letters;
begin
    select d.* into v_found from payplane.dead_letters d
    where d.operation_id = p_operation and d.account_id = p_account for update;
    if v_found.state is distinct from 1::smallint then
        return v_found.state;
    end if;
    update payplane.dead_letters d
    set state = case p_act when 1 then 2 else 4 end, decided_by = p_actor, reason = p_reason
    where d.tenant_id = v_found.tenant_id and d.operation_id = p_operation and d.account_id = p_account;
    insert into payplane.event_acts (act, actor, reason, seal, operation_id, account_id, acted_us)
    values (p_act, p_actor, p_reason, v_found.seal, p_operation, p_account,
            (extract(epoch from clock_timestamp()) * 1000000)::bigint);
    return v_found.state;
end $$;
