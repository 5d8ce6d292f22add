-- From an invoice to money, and what else an invoice is made of: collection, credit notes, prepaid credits, and usage that
-- others record.
--
-- All of it is appended and never changed: that nothing is used twice, credited beyond what was invoiced, or numbered with
-- gaps, is said by keys. A row that counts on the one before it names that one's end in a foreign key, so of two writers
-- who start from the same point one fails and looks again.

-- ---------------------------------------------------------------- Collection

-- Wallets that take what other tenants owe: the grant by the receiver.
create table payplane.collectors (
    tenant_id  uuid not null,
    account_id uuid not null,
    constraint collectors_pkey primary key (tenant_id, account_id),
    constraint collectors_account_fkey foreign key (tenant_id, account_id) references payplane.accounts
);

-- What was tried to collect (1) or to give back (2) for an invoice, as the journal has it: written after the commit, from
-- the journal, by whoever comes next. The key in the journal follows from invoice, direction and attempt, so an attempt is
-- made once however often it is asked for, and each only after the one before it is here.
create table payplane.collections (
    tenant_id     uuid     not null,
    invoice       bigint   not null,
    direction     smallint not null,
    attempt       integer  not null,
    -- The attempt before, null for the first.
    previous      integer,
    -- Of the tenant's journal.
    operation_id  uuid     not null,
    -- What moved; nothing if it was refused.
    posted        bigint   not null,
    -- The reason and the field of the item that was refused; null if it was done.
    refusal       smallint,
    refusal_field smallint,
    decided_us    bigint   not null,
    constraint collections_pkey primary key (tenant_id, invoice, direction, attempt),
    constraint collections_operation_key unique (tenant_id, operation_id),
    constraint collections_direction_known check (direction in (1, 2)),
    constraint collections_numbered_from_one check (1 <= attempt),
    constraint collections_previous_is_one_less check (previous is not distinct from nullif(attempt - 1, 0)),
    constraint collections_follow_each_other foreign key (tenant_id, invoice, direction, previous)
        references payplane.collections (tenant_id, invoice, direction, attempt),
    constraint collections_done_or_refused check (
        case when refusal is null then 0 < posted else posted = 0 and refusal_field is not null end
    )
);

-- Makes a wallet a collector of other tenants' debts, or takes that back; says whether there is such a wallet.
create function payplane.put_collector(p_tenant uuid, p_wallet text, p_collects boolean)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
declare
    v_account uuid;
begin
    select w.account_id into v_account from payplane.wallets w where w.tenant_id = p_tenant and w.name = p_wallet;
    if not found then
        return false;
    end if;
    if p_collects then
        insert into payplane.collectors (tenant_id, account_id) values (p_tenant, v_account) on conflict do nothing;
    else
        delete from payplane.collectors c where c.tenant_id = p_tenant and c.account_id = v_account;
    end if;
    return true;
end $$;

-- Makes sure that both sides have a clearing account, and says whether the receiver granted all of these wallets. Only a
-- receiver's clearing account may fall below zero, because what it gives away first is on the payer's: over all tenants
-- they sum to zero, which verify_clearing proves.
create function payplane.open_clearing(
    p_payer uuid, p_payer_clearing uuid, p_receiver uuid, p_receiver_clearing uuid, p_wallets text[], p_currency text
)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
begin
    if exists (
        select from unnest(p_wallets) as wanted (name)
        where not exists (
            select from payplane.wallets w
            join payplane.collectors c on c.tenant_id = w.tenant_id and c.account_id = w.account_id
            where w.tenant_id = p_receiver and w.name = wanted.name)
    ) then
        return false;
    end if;
    insert into payplane.accounts (tenant_id, account_id, kind, currency)
    select o.tenant_id, o.account_id, 3, p_currency
    from (values (p_payer, p_payer_clearing), (p_receiver, p_receiver_clearing)) as o (tenant_id, account_id)
    order by o.tenant_id, o.account_id
    on conflict do nothing;
    update payplane.accounts a set floor_minor = -4611686018427387904
    where a.tenant_id = p_receiver and a.account_id = p_receiver_clearing and a.kind = 3 and a.floor_minor = 0;
    return true;
end $$;

-- Notes how an attempt ended, from the journal: the payer's operation first, then those of the other tenant. Says whether
-- there is anything to note; what is there already stays.
create function payplane.record_collection(
    p_tenant uuid, p_invoice bigint, p_direction smallint, p_attempt integer, p_tenants uuid[], p_operations uuid[]
)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
declare
    v_row   payplane.journal;
    v_blame payplane.journal;
begin
    select j.* into v_row from payplane.journal j where j.tenant_id = p_tenant and j.operation_id = p_operations[1];
    if not found then
        return false;
    end if;
    -- 34 is "another item was refused": the other one has the reason.
    select j.* into v_blame
    from unnest(p_tenants, p_operations) as o (tenant_id, operation_id)
    cross join lateral (
        select j.* from payplane.journal j where j.tenant_id = o.tenant_id and j.operation_id = o.operation_id offset 0
    ) j
    where j.refusal <> 34
    limit 1;
    insert into payplane.collections (
        tenant_id, invoice, direction, attempt, previous, operation_id, posted, refusal, refusal_field, decided_us
    )
    select p_tenant, p_invoice, p_direction, p_attempt, nullif(p_attempt - 1, 0), p_operations[1],
           coalesce(v_row.posted, 0), coalesce(v_blame.refusal, v_row.refusal),
           coalesce(v_blame.refusal_field, v_row.refusal_field), b.decided_us
    from payplane.batches b where b.batch_id = v_row.sequence / 1024
    on conflict do nothing;
    return true;
end $$;

-- Tenants that are suspended because they owe. A reason of its own beside tenants.suspended, which is the Tenant object's:
-- each is set and taken away by whoever it belongs to, and a tenant may spend when it has neither.
create table payplane.billing_suspensions (
    tenant_id uuid not null,
    constraint billing_suspensions_pkey primary key (tenant_id),
    constraint billing_suspensions_tenant_fkey foreign key (tenant_id) references payplane.tenants
);

-- Suspends a tenant because it owes, or takes that back; says whether that changed anything.
create function payplane.put_billing_suspension(p_tenant uuid, p_suspended boolean)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
begin
    if p_suspended then
        insert into payplane.billing_suspensions (tenant_id) values (p_tenant) on conflict do nothing;
    else
        delete from payplane.billing_suspensions s where s.tenant_id = p_tenant;
    end if;
    if not found then
        return false;
    end if;
    -- As for every suspension: what was decided before is not applied after.
    update payplane.settings_version set version = version + 1 where only_row;
    return true;
end $$;

-- As before, with both reasons of a suspension.
create or replace function payplane.read_settings(
    p_tenants uuid[], out version bigint, out settings text[], out suspended uuid[]
)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select v.version, (
        select array_agg(row_to_json(s)::text) from payplane.settings s
        where s.tenant_id = any (p_tenants) or s.tenant_id = '00000000-0000-0000-0000-000000000000'
    ), (
        select array_agg(t.tenant_id) from payplane.tenants t
        where t.tenant_id = any (p_tenants) and (t.suspended or exists (
            select from payplane.billing_suspensions b where b.tenant_id = t.tenant_id))
    )
    from payplane.settings_version v;
$$;

-- ---------------------------------------------------------------- Credit notes

alter table payplane.invoices
    -- What prepaid credits paid of it.
    add column prepaid_minor bigint not null default 0,
    -- Usage of others up to and including this number; see payplane.usage_events.
    add column through_event bigint not null default 0,
    add constraint invoices_total_key unique (tenant_id, number, total_minor),
    add constraint invoices_prepaid_in_bounds check (0 <= prepaid_minor and prepaid_minor <= greatest(total_minor, 0)),
    add constraint invoices_events_in_order check (0 <= through_event);

-- Corrects an issued invoice downwards. A series of its own without gaps; never more than was invoiced.
create table payplane.credit_notes (
    tenant_id       uuid   not null,
    number          bigint not null,
    previous        bigint,
    invoice         bigint not null,
    invoice_total   bigint not null,
    -- What earlier notes took off the same invoice, and what all have by then.
    credited_before bigint not null,
    credited_base   bigint,
    credited_after  bigint not null,
    -- The caller's key: the same one is the same note.
    key             text   not null collate "C",
    reason          text   not null,
    issued_us       bigint not null,
    constraint credit_notes_pkey primary key (tenant_id, number),
    constraint credit_notes_key_key unique (tenant_id, key),
    constraint credit_notes_after_key unique (tenant_id, invoice, credited_after),
    constraint credit_notes_before_key unique (tenant_id, invoice, credited_before),
    constraint credit_notes_numbered_from_one check (1 <= number),
    constraint credit_notes_previous_is_one_less check (previous is not distinct from nullif(number - 1, 0)),
    constraint credit_notes_follow_each_other foreign key (tenant_id, previous)
        references payplane.credit_notes (tenant_id, number),
    constraint credit_notes_invoice_fkey foreign key (tenant_id, invoice, invoice_total)
        references payplane.invoices (tenant_id, number, total_minor),
    constraint credit_notes_base check (credited_base is not distinct from nullif(credited_before, 0)),
    constraint credit_notes_add_up foreign key (tenant_id, invoice, credited_base)
        references payplane.credit_notes (tenant_id, invoice, credited_after),
    constraint credit_notes_take_something check (0 <= credited_before and credited_before < credited_after),
    constraint credit_notes_capped check (credited_after <= invoice_total)
);

-- Issues a credit note under a key and gives its number, or that of the note that has the key; 0 if it would take more
-- than was invoiced and not credited yet, null if there is no such invoice. Raises PP001 if another one was quicker.
create function payplane.issue_credit_note(
    p_tenant uuid, p_invoice bigint, p_minor bigint, p_key text, p_reason text
)
returns bigint
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
declare
    v_number bigint;
    v_total  bigint;
    v_before bigint;
begin
    select n.number into v_number from payplane.credit_notes n where n.tenant_id = p_tenant and n.key = p_key;
    if found then
        return v_number;
    end if;
    select i.total_minor into v_total from payplane.invoices i where i.tenant_id = p_tenant and i.number = p_invoice;
    if not found then
        return null;
    end if;
    select coalesce(max(n.credited_after), 0) into v_before
    from payplane.credit_notes n where n.tenant_id = p_tenant and n.invoice = p_invoice;
    if v_total - v_before < p_minor then
        return 0;
    end if;
    select coalesce(max(n.number), 0) + 1 into v_number from payplane.credit_notes n where n.tenant_id = p_tenant;
    insert into payplane.credit_notes (
        tenant_id, number, previous, invoice, invoice_total, credited_before, credited_base, credited_after, key, reason,
        issued_us
    )
    values (
        p_tenant, v_number, nullif(v_number - 1, 0), p_invoice, v_total, v_before, nullif(v_before, 0),
        v_before + p_minor, p_key, p_reason, (extract(epoch from clock_timestamp()) * 1000000)::bigint
    )
    on conflict do nothing;
    if not found then
        raise exception 'the number is taken' using errcode = 'PP001';
    end if;
    return v_number;
end $$;

-- ---------------------------------------------------------------- Prepaid credits

-- What a tenant has paid ahead, or was given: no money of the ledger, only a claim on coming invoices.
create table payplane.prepaid_grants (
    tenant_id  uuid   not null,
    -- The caller's: the same key is the same grant.
    key        text   not null collate "C",
    currency   payplane.currency_code not null,
    minor      bigint not null,
    -- The first moment at which it is worth nothing; null for never.
    expires_us bigint,
    granted_us bigint not null,
    constraint prepaid_grants_pkey primary key (tenant_id, key),
    constraint prepaid_grants_minor_key unique (tenant_id, key, minor),
    constraint prepaid_grants_tenant_fkey foreign key (tenant_id) references payplane.tenants,
    constraint prepaid_grants_positive check (0 < minor)
);

-- What invoices used of it: never more than was granted.
create table payplane.prepaid_uses (
    tenant_id   uuid   not null,
    invoice     bigint not null,
    key         text   not null collate "C",
    granted     bigint not null,
    used_before bigint not null,
    used_base   bigint,
    used_after  bigint not null,
    constraint prepaid_uses_pkey primary key (tenant_id, invoice, key),
    constraint prepaid_uses_after_key unique (tenant_id, key, used_after),
    constraint prepaid_uses_before_key unique (tenant_id, key, used_before),
    constraint prepaid_uses_invoice_fkey foreign key (tenant_id, invoice)
        references payplane.invoices (tenant_id, number),
    constraint prepaid_uses_grant_fkey foreign key (tenant_id, key, granted)
        references payplane.prepaid_grants (tenant_id, key, minor),
    constraint prepaid_uses_base check (used_base is not distinct from nullif(used_before, 0)),
    constraint prepaid_uses_add_up foreign key (tenant_id, key, used_base)
        references payplane.prepaid_uses (tenant_id, key, used_after),
    constraint prepaid_uses_take_something check (0 <= used_before and used_before < used_after),
    constraint prepaid_uses_capped check (used_after <= granted)
);

-- Grants prepaid credit and says whether it did; false if the key has a grant.
create function payplane.grant_prepaid(
    p_tenant uuid, p_key text, p_currency text, p_minor bigint, p_expires_us bigint
)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
begin
    insert into payplane.prepaid_grants (tenant_id, key, currency, minor, expires_us, granted_us)
    values (p_tenant, p_key, p_currency, p_minor, p_expires_us,
            (extract(epoch from clock_timestamp()) * 1000000)::bigint)
    on conflict do nothing;
    return found;
end $$;

-- ---------------------------------------------------------------- Usage of others

-- The number of the tenant's last recorded batch of usage. Whoever records holds this row until the commit, so numbers are
-- committed in their order: whoever reads a number sees everything up to it.
create table payplane.usage_heads (
    tenant_id uuid   not null,
    position  bigint not null default 0,
    constraint usage_heads_pkey primary key (tenant_id),
    constraint usage_heads_tenant_fkey foreign key (tenant_id) references payplane.tenants
) with (fillfactor = 70);

-- What others say was used. Source and id are the key: the same event is recorded once.
create table payplane.usage_events (
    tenant_id   uuid     not null,
    source      text     not null collate "C",
    event_id    text     not null collate "C",
    metric      text     not null collate "C",
    quantity    bigint   not null,
    -- When it happened, by the sender.
    time_us     bigint   not null,
    position    bigint   not null,
    constraint usage_events_pkey primary key (tenant_id, source, event_id),
    constraint usage_events_not_negative check (0 <= quantity)
);

create index usage_events_position on payplane.usage_events (tenant_id, position);
create index usage_events_time on payplane.usage_events (tenant_id, time_us);

-- Records a batch of events, each by its source and id, and says of each: 1 recorded, 2 it was there already, 3 the id has
-- another event, 4 refused, because its period is invoiced and the caller does not want it in the next one.
create function payplane.record_usage(
    p_tenant uuid, p_sources text[], p_ids text[], p_metrics text[], p_quantities bigint[], p_times bigint[],
    p_refuse_late boolean
)
returns smallint[]
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
declare
    v_position bigint;
    v_invoiced bigint;
    v_answers  smallint[];
begin
    insert into payplane.usage_heads (tenant_id) values (p_tenant) on conflict do nothing;
    update payplane.usage_heads h set position = h.position + 1 where h.tenant_id = p_tenant
    returning h.position into v_position;
    -- Read under the lock: an invoice that is issued now is cut below this position.
    select i.end_us into v_invoiced
    from payplane.invoices i where i.tenant_id = p_tenant order by i.number desc limit 1;

    with given as (
        select g.*, p_refuse_late and g.time_us < v_invoiced as is_refused
        from unnest(p_sources, p_ids, p_metrics, p_quantities, p_times) with ordinality
            as g (source, event_id, metric, quantity, time_us, place)
    ),
    recorded as (
        insert into payplane.usage_events (tenant_id, source, event_id, metric, quantity, time_us, position)
        select p_tenant, g.source, g.event_id, g.metric, g.quantity, g.time_us, v_position
        from given g
        where g.is_refused is not true
        order by g.source, g.event_id, g.place
        on conflict do nothing
        returning source, event_id, metric, quantity, time_us
    ),
    -- The statement sees the table as it was before it, so what is there now is either.
    stood as (
        select e.source, e.event_id, e.metric, e.quantity, e.time_us
        from (select distinct g.source, g.event_id from given g) w
        cross join lateral (
            select e.* from payplane.usage_events e
            where e.tenant_id = p_tenant and e.source = w.source and e.event_id = w.event_id
            offset 0
        ) e
    ),
    judged as (
        select g.place, case
            when (s.metric, s.quantity, s.time_us) = (g.metric, g.quantity, g.time_us) then 2
            when s.source is not null then 3
            when r.source is null then 4
            when (r.metric, r.quantity, r.time_us) <> (g.metric, g.quantity, g.time_us) then 3
            when row_number() over (partition by g.source, g.event_id order by g.place) = 1 then 1
            else 2
        end::smallint as answer
        from given g
        left join stood s on s.source = g.source and s.event_id = g.event_id
        left join recorded r on r.source = g.source and r.event_id = g.event_id
    )
    select array_agg(j.answer order by j.place) into v_answers from judged j;
    return v_answers;
end $$;

-- ---------------------------------------------------------------- Issuing

drop function payplane.issue_invoice(uuid, bigint, bigint, bigint, bigint, bigint, text, bigint, text, text);

-- Issues an invoice with what it uses of prepaid credits, and says whether it did; false, and nothing done, if the period
-- has one. Raises PP001 if the cut is another one by now, which happens while nothing was decided since the period's end,
-- if somebody else was quicker with other dates, or if the credits were used meanwhile; and PP002 for a period that is not
-- over.
create function payplane.issue_invoice(
    p_tenant uuid, p_number bigint, p_start_us bigint, p_end_us bigint, p_after bigint, p_through bigint,
    p_currency text, p_total_minor bigint, p_plan_version text, p_document text,
    p_through_event bigint default 0, p_prepaid_keys text[] default '{}', p_prepaid_before bigint[] default '{}',
    p_prepaid_minors bigint[] default '{}'
)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
declare
    v_now_us  bigint := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
    v_prepaid bigint := (select coalesce(sum(m), 0) from unnest(p_prepaid_minors) m);
    v_count   bigint;
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
    -- Usage of others that was never recorded is no usage, and what is invoiced stays so.
    if p_through_event > coalesce((select h.position from payplane.usage_heads h where h.tenant_id = p_tenant), 0)
       or p_through_event < coalesce((
           select i.through_event from payplane.invoices i where i.tenant_id = p_tenant and i.number = p_number - 1), 0) then
        raise exception 'the cut has moved' using errcode = 'PP001';
    end if;
    insert into payplane.invoices (
        tenant_id, number, previous, start_us, end_us, after_seal, through_seal, currency, total_minor, plan_version,
        document, issued_us, prepaid_minor, through_event
    )
    values (
        p_tenant, p_number, nullif(p_number - 1, 0), p_start_us, p_end_us, p_after, p_through, p_currency,
        p_total_minor, p_plan_version, p_document, v_now_us, v_prepaid, p_through_event
    )
    on conflict do nothing;
    if not found then
        if not exists (
            select 1 from payplane.invoices i where i.tenant_id = p_tenant and i.start_us = p_start_us
        ) then
            raise exception 'the number is taken' using errcode = 'PP001';
        end if;
        return false;
    end if;
    insert into payplane.prepaid_uses (tenant_id, invoice, key, granted, used_before, used_base, used_after)
    select p_tenant, p_number, u.key, g.minor, u.before, nullif(u.before, 0), u.before + u.minor
    from unnest(p_prepaid_keys, p_prepaid_before, p_prepaid_minors) as u (key, before, minor)
    join payplane.prepaid_grants g
      on g.tenant_id = p_tenant and g.key = u.key and g.currency = p_currency and coalesce(p_end_us <= g.expires_us, true)
    order by u.key
    on conflict do nothing;
    get diagnostics v_count = row_count;
    if v_count <> cardinality(p_prepaid_keys) then
        raise exception 'prepaid credits were used meanwhile' using errcode = 'PP001';
    end if;
    return true;
end $$;

-- ---------------------------------------------------------------- What follows for the rest

-- As before, but for clearing accounts: what is on them is the other tenant's.
create or replace function payplane.tenant_holdings(
    p_tenant uuid, out accounts bigint, out holds bigint, out refunds bigint
)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select (
        select count(*) from payplane.accounts a
        where a.tenant_id = p_tenant and a.kind not in (2, 3)
          and (a.posted_credits <> a.posted_debits or a.pending_debits <> 0 or a.pending_credits <> 0)
    ), (
        select count(*) from payplane.payments p where p.tenant_id = p_tenant and p.phase in (1, 2)
    ), (
        select count(*) from payplane.refunds r where r.tenant_id = p_tenant and r.phase in (1, 2)
    );
$$;

-- As before, but for the floor of a clearing account, which open_clearing lowers.
create or replace function payplane.verify_wallet_terms(p_examples integer)
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
            a.kind = 2 or a.kind = 3 and a.floor_minor = -4611686018427387904 and a.ceiling_minor is null
            or (a.floor_minor, a.ceiling_minor)
            is not distinct from (coalesce(w.first_floor_minor, 0), w.first_ceiling_minor))
        end
    limit p_examples;
$$;

-- Currencies in which the clearing accounts of all tenants do not sum to zero, so that money came or went between tenants.
create function payplane.verify_clearing(p_examples integer)
returns table (tenant_id uuid, account_id uuid, operation_id uuid, batch_id bigint, problem text, found bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set work_mem = '32MB' set jit = off
as $$
    select null::uuid, null::uuid, null::uuid, null::bigint,
           c.currency || ': the clearing accounts of all tenants do not sum to zero', count(*) over ()
    from (
        select a.currency from payplane.accounts a where a.kind = 3
        group by a.currency
        having sum(a.posted_credits) <> sum(a.posted_debits)
    ) c
    limit p_examples;
$$;

-- Attempts to collect that the journal does not have so, and invoices of which more was collected than they come to.
create function payplane.verify_collections(p_examples integer)
returns table (tenant_id uuid, account_id uuid, operation_id uuid, batch_id bigint, problem text, found bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
set work_mem = '32MB' set jit = off
as $$
    select w.tenant_id, null::uuid, w.operation_id, null::bigint, w.problem, count(*) over ()
    from (
        select c.tenant_id, c.operation_id, 'a collection is not what the journal says' as problem
        from payplane.collections c
        left join payplane.journal j on j.tenant_id = c.tenant_id and j.operation_id = c.operation_id
        where (coalesce(j.posted, 0), j.refusal is null) is distinct from (c.posted, c.refusal is null)
           or j.operation_id is null
        union all
        select i.tenant_id, null, 'invoice ' || i.number || ': more was collected, or given back, than was due'
        from payplane.invoices i
        join (
            select c.tenant_id, c.invoice, coalesce(sum(c.posted) filter (where c.direction = 1), 0) as collected,
                   coalesce(sum(c.posted) filter (where c.direction = 2), 0) as returned
            from payplane.collections c group by c.tenant_id, c.invoice
        ) c on c.tenant_id = i.tenant_id and c.invoice = i.number
        where i.total_minor - i.prepaid_minor < c.collected or c.collected < c.returned
    ) w
    limit p_examples;
$$;
