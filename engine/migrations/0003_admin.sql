-- Tenants, wallets, settings and personal data: what is written outside the journal, and what has to be known across
-- tenants.

-- Lists of wallets by owner, label and class. Written once per wallet; payments change none of these columns.
create index wallets_owner on payplane.wallets (tenant_id, owner, account_id) where owner <> '';
create index wallets_metadata on payplane.wallets using gin (metadata jsonb_path_ops);
create index accounts_class on payplane.accounts (tenant_id, class, account_id) where class <> '';

-- What is held to leave a wallet: few rows, because settled payments are not in it.
create index payments_open on payplane.payments (tenant_id, debit_account) where phase in (1, 2);

-- Where in the journal a moment of the past stands. One entry per batch, appended.
create index batches_time on payplane.batches (decided_us);

-- Who a ServiceAccount is: the tenant of its namespace, and its own role or the tenant's default. No row if the
-- namespace belongs to nobody.
create function payplane.resolve_caller(p_namespace text, p_service_account text)
returns table (tenant_id uuid, role smallint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select t.tenant_id, coalesce(g.role, t.default_role)
    from payplane.tenant_namespaces n
    join payplane.tenants t on t.tenant_id = n.tenant_id
    left join payplane.tenant_grants g
      on g.tenant_id = n.tenant_id and g.namespace = n.namespace and g.name = p_service_account
    where n.namespace = p_namespace;
$$;

-- A tenant as JSON text, lists sorted; null if there is none.
create function payplane.get_tenant(p_name text)
returns text
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select json_build_object(
        'id', t.tenant_id, 'name', t.name, 'default_role', t.default_role, 'suspended', t.suspended,
        'namespaces', (
            select coalesce(json_agg(n.namespace order by n.namespace), '[]')
            from payplane.tenant_namespaces n where n.tenant_id = t.tenant_id),
        'caps', (
            select coalesce(json_agg(json_build_object('currency', c.currency, 'minor', c.cap_minor)
                                     order by c.currency), '[]')
            from payplane.settlement_caps c where c.tenant_id = t.tenant_id),
        'grants', (
            select coalesce(json_agg(json_build_object('namespace', g.namespace, 'name', g.name, 'role', g.role)
                                     order by g.namespace, g.name), '[]')
            from payplane.tenant_grants g where g.tenant_id = t.tenant_id)
    )::text
    from payplane.tenants t where t.name = p_name;
$$;

-- Brings a tenant to the given state and says whether that changed anything. Raises PP003 if a namespace belongs to
-- another tenant. A currency with a cap has the tenant's own accounts, one of each kind; if its cap goes away they stay,
-- and the settlement account then takes credits only.
create function payplane.put_tenant(
    p_tenant uuid, p_name text, p_default_role smallint, p_suspended boolean, p_namespaces text[],
    p_cap_currencies text[], p_cap_minors bigint[],
    p_own_currencies text[], p_own_kinds smallint[], p_own_accounts uuid[],
    p_grant_namespaces text[], p_grant_names text[], p_grant_roles smallint[]
)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
declare
    v_created boolean;
    v_before  text;
    v_taken   text;
begin
    insert into payplane.tenants (tenant_id, name, default_role) values (p_tenant, p_name, p_default_role)
    on conflict do nothing;
    v_created := found;
    -- One writer of a tenant at a time.
    perform 1 from payplane.tenants t where t.tenant_id = p_tenant for update;
    v_before := payplane.get_tenant(p_name);

    update payplane.tenants t set default_role = p_default_role
    where t.tenant_id = p_tenant and t.default_role <> p_default_role;

    update payplane.tenants t set suspended = p_suspended
    where t.tenant_id = p_tenant and t.suspended <> p_suspended;
    if found then
        -- A batch that was decided before is not applied after: commit_batch compares this version. One that is being
        -- applied at this moment may still commit; whatever is asked for after this function's commit is decided anew.
        update payplane.settings_version set version = version + 1 where only_row;
    end if;

    delete from payplane.tenant_namespaces n where n.tenant_id = p_tenant and n.namespace <> all (p_namespaces);
    insert into payplane.tenant_namespaces (namespace, tenant_id)
    select wanted.namespace, p_tenant from unnest(p_namespaces) as wanted (namespace)
    order by wanted.namespace
    on conflict do nothing;
    select n.namespace into v_taken from payplane.tenant_namespaces n
    where n.namespace = any (p_namespaces) and n.tenant_id <> p_tenant
    order by n.namespace limit 1;
    if found then
        raise exception '%', v_taken using errcode = 'PP003';
    end if;

    delete from payplane.tenant_grants g where g.tenant_id = p_tenant;
    insert into payplane.tenant_grants (tenant_id, namespace, name, role)
    select p_tenant, g.namespace, g.name, g.role
    from unnest(p_grant_namespaces, p_grant_names, p_grant_roles) as g (namespace, name, role);

    delete from payplane.settlement_caps c where c.tenant_id = p_tenant;
    insert into payplane.settlement_caps (tenant_id, currency, cap_minor)
    select p_tenant, c.currency, c.minor from unnest(p_cap_currencies, p_cap_minors) as c (currency, minor);
    -- In the order of the ids, like lock_and_read, because payments may hold these rows.
    insert into payplane.accounts (tenant_id, account_id, kind, currency)
    select p_tenant, o.account_id, o.kind, o.currency
    from unnest(p_own_currencies, p_own_kinds, p_own_accounts) as o (currency, kind, account_id)
    order by o.account_id
    on conflict do nothing;
    perform 1 from payplane.accounts a where a.tenant_id = p_tenant and a.kind = 2
    order by a.account_id for no key update;
    -- A cap is no operation of the journal: the account's version and history stay as they are.
    update payplane.accounts a
    set floor_minor = wanted.floor_minor
    from (
        select s.account_id, -coalesce(c.cap_minor, 0) as floor_minor
        from payplane.accounts s
        left join payplane.settlement_caps c on c.tenant_id = s.tenant_id and c.currency = s.currency
        where s.tenant_id = p_tenant and s.kind = 2
    ) wanted
    where a.tenant_id = p_tenant and a.account_id = wanted.account_id and a.floor_minor <> wanted.floor_minor;

    return v_created or v_before is distinct from payplane.get_tenant(p_name);
end $$;

-- What a tenant still has: accounts with money or with something held (its settlement accounts are the other side of these
-- and do not count), payments that are held, refunds that wait.
create function payplane.tenant_holdings(
    p_tenant uuid, out accounts bigint, out holds bigint, out refunds bigint
)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select (
        select count(*) from payplane.accounts a
        where a.tenant_id = p_tenant and a.kind <> 2
          and (a.posted_credits <> a.posted_debits or a.pending_debits <> 0 or a.pending_credits <> 0)
    ), (
        select count(*) from payplane.payments p where p.tenant_id = p_tenant and p.phase in (1, 2)
    ), (
        select count(*) from payplane.refunds r where r.tenant_id = p_tenant and r.phase in (1, 2)
    );
$$;

-- Creates the wallet unless its id or name exists; says whether it did. The caller reads the wallet that has the name
-- now and compares.
create function payplane.create_wallet(
    p_tenant uuid, p_account uuid, p_origin smallint, p_name text, p_currency text, p_owner text,
    p_floor_minor bigint, p_ceiling_minor bigint, p_class text, p_metadata text
)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
begin
    if exists (select 1 from payplane.wallets w where w.tenant_id = p_tenant and w.name = p_name) then
        return false;
    end if;
    insert into payplane.accounts (tenant_id, account_id, kind, currency, floor_minor, ceiling_minor, class)
    values (p_tenant, p_account, 1, p_currency, p_floor_minor, p_ceiling_minor, p_class);
    insert into payplane.wallets (
        tenant_id, account_id, origin, name, owner, metadata, first_floor_minor, first_ceiling_minor
    )
    values (p_tenant, p_account, p_origin, p_name, p_owner, p_metadata::jsonb, p_floor_minor, p_ceiling_minor);
    return true;
exception when unique_violation then
    -- Somebody was quicker. Neither row stays: an account without a name would be nobody's.
    return false;
end $$;

-- Makes these the only labels of a wallet; says whether there is such a wallet.
create function payplane.put_wallet_metadata(p_tenant uuid, p_account uuid, p_metadata text)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
begin
    update payplane.wallets w set metadata = p_metadata::jsonb
    where w.tenant_id = p_tenant and w.account_id = p_account;
    return found;
end $$;

-- Makes these the only settings of a scope (see payplane.settings) and says whether that changed anything; null, and
-- nothing done, if the tenant would have more than p_max over all its scopes.
create function payplane.put_settings(
    p_tenant uuid, p_level smallint, p_scope text,
    p_names smallint[], p_currencies text[], p_values bigint[], p_max bigint
)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
declare
    v_deleted bigint;
    v_written bigint;
begin
    -- One writer of settings at a time, whatever their scope: whoever reads the version first and the settings later
    -- then never believes that it has the newer ones.
    perform 1 from payplane.settings_version v for update;
    if p_max < cardinality(p_names) + (
        select count(*) from payplane.settings s
        where s.tenant_id = p_tenant and not (s.level = p_level and s.scope = p_scope)
    ) then
        return null;
    end if;
    delete from payplane.settings s
    where s.tenant_id = p_tenant and s.level = p_level and s.scope = p_scope
      and not exists (
          select 1 from unnest(p_names, p_currencies, p_values) as w (name, currency, value)
          where w.name = s.name and w.currency = s.currency and w.value = s.value
      );
    get diagnostics v_deleted = row_count;
    insert into payplane.settings (tenant_id, level, scope, name, currency, value)
    select p_tenant, p_level, p_scope, w.name, w.currency, w.value
    from unnest(p_names, p_currencies, p_values) as w (name, currency, value)
    on conflict do nothing;
    get diagnostics v_written = row_count;
    if v_deleted + v_written = 0 then
        return false;
    end if;
    update payplane.settings_version set version = version + 1 where only_row;
    return true;
end $$;

-- Makes this the only personal data about a subject.
create function payplane.put_personal_data(p_tenant uuid, p_subject text, p_data text)
returns void
language sql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    insert into payplane.personal_data (tenant_id, subject, data) values (p_tenant, p_subject, p_data::jsonb)
    on conflict (tenant_id, subject) do update set data = excluded.data, changed_at = clock_timestamp();
$$;

-- Erases what is known about a subject; says whether anything was.
create function payplane.erase_personal_data(p_tenant uuid, p_subject text)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
begin
    delete from payplane.personal_data d where d.tenant_id = p_tenant and d.subject = p_subject;
    return found;
end $$;

-- Totals by currency: of one tenant, or of everybody if null. Text, because sums exceed 64 bits. Transfers are the
-- operations that moved money.
create function payplane.trial_balance(p_tenant uuid)
returns table (currency text, debits text, credits text, accounts bigint, transfers bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select a.currency, a.debits::text, a.credits::text, a.counted, coalesce(j.counted, 0)
    from (
        select a.currency, sum(a.posted_debits) as debits, sum(a.posted_credits) as credits, count(*) as counted
        from payplane.accounts a
        where p_tenant is null or a.tenant_id = p_tenant
        group by a.currency
    ) a
    left join (
        select j.currency, count(*) as counted
        from payplane.journal j
        where (p_tenant is null or j.tenant_id = p_tenant) and 0 < j.posted
        group by j.currency
    ) j on j.currency = a.currency
    order by a.currency;
$$;
