-- Tenants and wallets, and what has to be known across tenants.

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
        'id', t.tenant_id, 'name', t.name, 'default_role', t.default_role,
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
-- another tenant. A currency whose cap goes away keeps its account, which then takes credits only.
create function payplane.put_tenant(
    p_tenant uuid, p_name text, p_default_role smallint, p_namespaces text[],
    p_cap_currencies text[], p_cap_minors bigint[], p_cap_accounts uuid[],
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
    insert into payplane.accounts (tenant_id, account_id, kind, currency, origin)
    select p_tenant, c.account_id, 2, c.currency, 2
    from unnest(p_cap_currencies, p_cap_accounts) as c (currency, account_id)
    on conflict do nothing;
    -- In the order of the ids, like lock_and_read, because payments may hold these rows.
    perform 1 from payplane.accounts a where a.tenant_id = p_tenant and a.kind = 2
    order by a.account_id for no key update;
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

-- Creates the wallet unless its id or name exists; says whether it did. The caller reads the wallet that has the name
-- now and compares.
create function payplane.create_wallet(
    p_tenant uuid, p_account uuid, p_origin smallint, p_name text, p_currency text, p_owner text, p_floor_minor bigint
)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
begin
    insert into payplane.accounts (tenant_id, account_id, kind, origin, name, currency, owner, floor_minor)
    values (p_tenant, p_account, 1, p_origin, p_name, p_currency, p_owner, p_floor_minor)
    on conflict do nothing;
    return found;
end $$;

-- Totals by currency: of one tenant, or of everybody if null. Text, because sums exceed 64 bits.
create function payplane.trial_balance(p_tenant uuid)
returns table (currency text, debits text, credits text, accounts bigint, transfers bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select a.currency, a.debits::text, a.credits::text, a.counted, coalesce(t.counted, 0)
    from (
        select a.currency, sum(a.posted_debits) as debits, sum(a.posted_credits) as credits, count(*) as counted
        from payplane.accounts a
        where p_tenant is null or a.tenant_id = p_tenant
        group by a.currency
    ) a
    left join (
        select t.currency, count(*) as counted
        from payplane.transfers t
        where p_tenant is null or t.tenant_id = p_tenant
        group by t.currency
    ) t on t.currency = a.currency
    order by a.currency;
$$;
