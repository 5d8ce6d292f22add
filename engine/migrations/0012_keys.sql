-- API keys of tenants, for callers outside the cluster. Only a hash is kept. A fast one is enough: the secret is 256 random
-- bits, which nobody finds by trying, however fast. (Slow hashes make up for passwords that people choose.)
create table payplane.api_keys (
    tenant_id  uuid     not null,
    -- The part of the key that is no secret. Random, and one key's in the whole ledger.
    key_id     text     not null collate "C",
    name       text     not null collate "C",
    -- 1 viewer, 2 operator, 4 treasury. None that approves: a rotated key is another actor, and could approve what it asked
    -- for before.
    role       smallint not null,
    hash       bytea    not null,
    created_us bigint   not null,
    -- When the key ends. What has ended never begins again.
    expires_us bigint   not null,
    -- Whether that end was decided: then it only ever becomes an earlier one. Before, whoever makes the key may confirm it.
    is_ending  boolean  not null default false,
    -- Who registered it.
    actor      text     not null,
    -- When this row was last written, counted in changes of this table.
    change     bigint   not null,
    constraint api_keys_pkey primary key (tenant_id, key_id),
    constraint api_keys_role_known check (role in (1, 2, 4)),
    constraint api_keys_hash_is_sha256 check (octet_length(hash) = 32)
);
create index api_keys_change on payplane.api_keys (change);
create index api_keys_id on payplane.api_keys (key_id);

-- Locked by each writer until its commit, so that changes become visible in their order and whoever reads those after a
-- number misses none.
create table payplane.api_key_head (
    only_row boolean not null default true,
    change   bigint  not null default 0,
    constraint api_key_head_pkey primary key (only_row),
    constraint api_key_head_has_one_row check (only_row)
);
insert into payplane.api_key_head default values;

-- Registers a key, or gives a registered one this role, and this end unless its end is decided. 0 done, 1 the tenant has p_tenant_max other keys that are valid, 2
-- all tenants together have p_max, 3 the id is another key's or the key has ended. Forgets those that ended a day ago, when
-- every engine has read that they end.
create function payplane.put_api_key(
    p_tenant uuid, p_key text, p_name text, p_role smallint, p_hash bytea, p_expires_us bigint, p_actor text,
    p_tenant_max bigint, p_max bigint
)
returns smallint
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
declare
    v_change bigint;
    v_now_us bigint := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
begin
    update payplane.api_key_head set change = change + 1 where only_row returning change into v_change;
    delete from payplane.api_keys k where k.expires_us < v_now_us - 86400000000;
    if exists (
        select 1 from payplane.api_keys k
        where k.key_id = p_key
          and not (k.tenant_id = p_tenant and k.name = p_name and k.hash = p_hash and v_now_us < k.expires_us)
    ) then
        return 3;
    end if;
    if p_tenant_max <= (
        select count(*) from payplane.api_keys k
        where k.tenant_id = p_tenant and k.key_id <> p_key and v_now_us < k.expires_us
    ) then
        return 1;
    end if;
    if p_max <= (select count(*) from payplane.api_keys k where k.key_id <> p_key and v_now_us < k.expires_us) then
        return 2;
    end if;
    insert into payplane.api_keys (tenant_id, key_id, name, role, hash, created_us, expires_us, actor, change)
    values (p_tenant, p_key, p_name, p_role, p_hash, v_now_us, p_expires_us, p_actor, v_change)
    on conflict (tenant_id, key_id) do update
    set role = excluded.role, change = excluded.change,
        expires_us = case
            when payplane.api_keys.is_ending then least(payplane.api_keys.expires_us, excluded.expires_us)
            else excluded.expires_us
        end;
    return 0;
end $$;

-- Ends a key at a time, now if that has passed; never later than it would have ended. Says whether the tenant has the key.
create function payplane.end_api_key(p_tenant uuid, p_key text, p_at_us bigint)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
declare
    v_change bigint;
    v_now_us bigint := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
begin
    update payplane.api_key_head set change = change + 1 where only_row returning change into v_change;
    update payplane.api_keys k
    set expires_us = least(k.expires_us, greatest(p_at_us, v_now_us)), is_ending = true, change = v_change
    where k.tenant_id = p_tenant and k.key_id = p_key;
    return found;
end $$;

-- A tenant's keys that have not ended, the eldest first.
create function payplane.list_api_keys(p_tenant uuid)
returns table (
    key_id text, name text, role smallint, hash bytea, created_us bigint, expires_us bigint, is_ending boolean
)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select k.key_id, k.name, k.role, k.hash, k.created_us, k.expires_us, k.is_ending
    from payplane.api_keys k
    where k.tenant_id = p_tenant and (extract(epoch from clock_timestamp()) * 1000000)::bigint < k.expires_us
    order by k.created_us, k.key_id;
$$;

-- What changed after p_change, in order.
create function payplane.read_api_keys(p_change bigint)
returns table (key_id text, tenant_id uuid, name text, hash bytea, expires_us bigint, change bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select k.key_id, k.tenant_id, k.name, k.hash, k.expires_us, k.change from payplane.api_keys k
    where p_change < k.change order by k.change;
$$;

-- What a key may do, like find_caller. Nothing for a tenant without namespaces: it was archived.
create function payplane.find_key_caller(p_tenant uuid, p_key text)
returns table (tenant_id uuid, role smallint, calls_per_second integer, call_burst integer)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select k.tenant_id, k.role, t.calls_per_second, t.call_burst
    from payplane.api_keys k
    join payplane.tenants t on t.tenant_id = k.tenant_id
    where k.tenant_id = p_tenant and k.key_id = p_key
      and exists (select 1 from payplane.tenant_namespaces n where n.tenant_id = k.tenant_id);
$$;

-- Issuers of tokens that tenants trust for themselves, one per tenant. The whole of it is in the text, whose form is the
-- engine's; empty for a tenant that has none any more.
create table payplane.tenant_issuers (
    tenant_id uuid   not null,
    issuer    text   not null collate "C",
    audience  text   not null collate "C",
    terms     text   not null,
    -- When this row was last written, counted in changes of these and of API keys.
    change    bigint not null,
    constraint tenant_issuers_pkey primary key (tenant_id)
);

-- Gives a tenant this issuer, or none if it is empty. 0 as it was, 1 changed, 2 another tenant has the issuer with this
-- audience (a token has to be of one tenant), 3 p_max other tenants have one.
create function payplane.put_issuer(p_tenant uuid, p_issuer text, p_audience text, p_terms text, p_max bigint)
returns smallint
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
declare
    v_change bigint;
    v_before text := coalesce((select i.terms from payplane.tenant_issuers i where i.tenant_id = p_tenant), '');
begin
    if v_before = p_terms then
        return 0;
    end if;
    update payplane.api_key_head set change = change + 1 where only_row returning change into v_change;
    if p_issuer <> '' and exists (
        select 1 from payplane.tenant_issuers i
        where i.tenant_id <> p_tenant and i.issuer = p_issuer and i.audience = p_audience
    ) then
        return 2;
    end if;
    if p_issuer <> '' and p_max <= (
        select count(*) from payplane.tenant_issuers i where i.tenant_id <> p_tenant and i.issuer <> ''
    ) then
        return 3;
    end if;
    insert into payplane.tenant_issuers (tenant_id, issuer, audience, terms, change)
    values (p_tenant, p_issuer, p_audience, p_terms, v_change)
    on conflict (tenant_id) do update
    set issuer = excluded.issuer, audience = excluded.audience, terms = excluded.terms, change = excluded.change;
    return 1;
end $$;

create function payplane.get_issuer(p_tenant uuid)
returns text
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select i.terms from payplane.tenant_issuers i where i.tenant_id = p_tenant;
$$;

-- What changed after p_change, in order.
create function payplane.read_issuers(p_change bigint)
returns table (tenant_id uuid, terms text, change bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select i.tenant_id, i.terms, i.change from payplane.tenant_issuers i where p_change < i.change order by i.change;
$$;

-- Like find_key_caller. What a caller may do is in its token.
create function payplane.find_outsider(p_tenant uuid)
returns table (tenant_id uuid, role smallint, calls_per_second integer, call_burst integer)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select t.tenant_id, 0::smallint, t.calls_per_second, t.call_burst
    from payplane.tenants t
    where t.tenant_id = p_tenant
      and exists (select 1 from payplane.tenant_namespaces n where n.tenant_id = t.tenant_id);
$$;
