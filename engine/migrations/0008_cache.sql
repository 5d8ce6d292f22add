-- What engines share beside the ledger: the key that proves what a cache says, how fast a tenant may call, tokens that are
-- no longer believed, and which Platform the ledger is of.

-- One key per ledger. It never leaves the database but for its engines, and is in no cache.
create table payplane.cache_key (
    only_row boolean not null default true,
    -- Two random UUIDs are 244 random bits, from the server's own strong source.
    secret   bytea   not null default uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()),
    constraint cache_key_pkey primary key (only_row),
    constraint cache_key_has_one_row check (only_row)
);
insert into payplane.cache_key default values;

-- Another key on another server and after each recovery to a point in time: what was remembered of a future that is no
-- longer is not believed.
create function payplane.read_cache_key()
returns bytea
language sql volatile security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select sha256(k.secret || convert_to(c.system_identifier || ' ' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), 'UTF8'))
    from payplane.cache_key k, pg_control_system() c;
$$;

-- How often a tenant's callers may call, all engines together. Null for as often as they like.
alter table payplane.tenants
    add column calls_per_second integer,
    add column call_burst integer,
    add constraint tenants_rates_together check ((calls_per_second is null) = (call_burst is null)),
    add constraint tenants_rates_positive check (0 < calls_per_second and 0 < call_burst);

-- Says whether that changed anything.
create function payplane.put_tenant_rates(p_tenant uuid, p_calls_per_second integer, p_call_burst integer)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
begin
    update payplane.tenants t set calls_per_second = p_calls_per_second, call_burst = p_call_burst
    where t.tenant_id = p_tenant
      and (t.calls_per_second, t.call_burst) is distinct from (p_calls_per_second, p_call_burst);
    return found;
end $$;

create function payplane.tenant_rates(p_name text)
returns table (calls_per_second integer, call_burst integer)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select t.calls_per_second, t.call_burst from payplane.tenants t where t.name = p_name;
$$;

-- Like resolve_caller, which the engines before this migration go on calling, with how often the tenant may call.
create function payplane.find_caller(p_namespace text, p_service_account text)
returns table (tenant_id uuid, role smallint, calls_per_second integer, call_burst integer)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select c.tenant_id, c.role, t.calls_per_second, t.call_burst
    from payplane.resolve_caller(p_namespace, p_service_account) c
    join payplane.tenants t on t.tenant_id = c.tenant_id;
$$;

-- Tokens that are refused although their signature is right: one token, or all of a subject.
create table payplane.revocations (
    -- 1 token (its jti), 2 subject.
    kind     smallint not null,
    name     text     not null collate "C",
    until_us bigint   not null,
    reason   text     not null,
    -- Who asked for it.
    actor    text     not null,
    -- When this row was last written, counted in changes of this table.
    change   bigint   not null,
    constraint revocations_pkey primary key (kind, name),
    constraint revocations_kind_known check (kind between 1 and 2)
);
create unique index revocations_change on payplane.revocations (change);

-- Locked by each writer until its commit, so that changes become visible in their order and whoever reads those after a
-- number misses none.
create table payplane.revocation_head (
    only_row boolean not null default true,
    change   bigint  not null default 0,
    constraint revocation_head_pkey primary key (only_row),
    constraint revocation_head_has_one_row check (only_row)
);
insert into payplane.revocation_head default values;

-- Refuses a token or a subject until a time; a time that has passed ends that. False, and nothing done, if p_max others are
-- refused at this time. Forgets those that ended a day ago, when every engine has read that they end.
create function payplane.revoke(
    p_kind smallint, p_name text, p_until_us bigint, p_reason text, p_actor text, p_max bigint
)
returns boolean
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
declare
    v_change bigint;
    v_now_us bigint := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
begin
    update payplane.revocation_head set change = change + 1 where only_row returning change into v_change;
    delete from payplane.revocations r where r.until_us < v_now_us - 86400000000;
    if p_max <= (
        select count(*) from payplane.revocations r where v_now_us < r.until_us and (r.kind, r.name) <> (p_kind, p_name)
    ) then
        return false;
    end if;
    insert into payplane.revocations (kind, name, until_us, reason, actor, change)
    values (p_kind, p_name, p_until_us, p_reason, p_actor, v_change)
    on conflict (kind, name) do update
    set until_us = excluded.until_us, reason = excluded.reason, actor = excluded.actor, change = excluded.change;
    return true;
end $$;

-- What changed after p_change, in order.
create function payplane.read_revocations(p_change bigint)
returns table (kind smallint, name text, until_us bigint, change bigint)
language sql stable security definer
set search_path = pg_catalog, payplane, pg_temp
as $$
    select r.kind, r.name, r.until_us, r.change from payplane.revocations r
    where p_change < r.change order by r.change;
$$;

-- Whose ledger this is, as NAMESPACE/NAME of a Platform. Written by whoever migrates first and says who it is; nobody else
-- may use the database then.
create table payplane.claim (
    only_row boolean not null default true,
    platform text    not null,
    constraint claim_pkey primary key (only_row),
    constraint claim_has_one_row check (only_row)
);
