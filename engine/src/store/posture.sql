-- Who may do what. Runs after the migrations, each time, as the owner of the database; the names of the two roles and
-- the password come as settings of the session. Running it again changes nothing.
--
--   definer  nobody logs in as it. Owns the functions; may insert, and update what they update. Never deletes money.
--   app      the engine's login. Executes the functions and reads one tenant at a time; writes no table.
do $$
declare
    v_app     text := current_setting('payplane.posture_app');
    v_definer text := current_setting('payplane.posture_definer');
    v_role    record;
    v_name    text;
    v_any     text;
begin
    -- Replicas that start together take turns.
    perform pg_advisory_xact_lock(hashtextextended('payplane.posture', 0));

    foreach v_name in array array[v_definer, v_app] loop
        if not exists (select from pg_roles where rolname = v_name) then
            begin
                execute format('create role %I %s', v_name, case v_name when v_app then 'login' else 'nologin' end);
            exception when duplicate_object or unique_violation then
                null; -- Another database of this server was quicker: roles belong to the whole server.
            end;
        end if;
    end loop;

    select * into v_role from pg_roles where rolname = v_app;
    if v_role.rolsuper or v_role.rolbypassrls or v_role.rolcreaterole or v_role.rolcreatedb or v_role.rolreplication
       or pg_has_role(v_app, v_definer, 'member') or pg_has_role(v_app, current_user, 'member') then
        raise exception 'the role "%" may do more than the engine should; use a role without special rights', v_app;
    end if;
    begin
        execute format('alter role %I login password %L', v_app, current_setting('payplane.posture_password'));
    exception when insufficient_privilege then
        -- Somebody else manages the role. Whether the password is right shows when the engine's login is tried.
        raise warning 'the password of role "%" was left as it is', v_app;
    end;

    if not pg_has_role(current_user, v_definer, 'member') then
        execute format('grant %I to %I', v_definer, current_user);
    end if;

    -- Giving a function away needs its new owner to have the right to create in the schema, for the moment.
    execute format('grant usage, create on schema payplane to %I', v_definer);
    for v_any in
        select p.oid::regprocedure::text from pg_proc p
        where p.pronamespace = 'payplane'::regnamespace and p.proowner <> v_definer::regrole
    loop
        execute format('alter function %s owner to %I', v_any, v_definer);
    end loop;
    execute format('revoke create on schema payplane from %I', v_definer);

    execute 'revoke all on schema payplane from public';
    for v_any in select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'payplane'::regnamespace loop
        execute format('revoke all on function %s from public', v_any);
        execute format('grant execute on function %s to %I', v_any, v_app);
    end loop;

    execute format('grant usage on schema payplane to %I', v_app);
    execute format('grant select on payplane.platform, payplane.schema_migrations, payplane.accounts,
                    payplane.wallets, payplane.journal, payplane.payments, payplane.refunds, payplane.usages,
                    payplane.settings, payplane.settings_version, payplane.batches, payplane.batch_tenants,
                    payplane.unsealed, payplane.seals, payplane.seal_head, payplane.personal_data,
                    payplane.invoices, payplane.collections, payplane.credit_notes, payplane.prepaid_grants,
                    payplane.prepaid_uses, payplane.usage_events, payplane.usage_heads to %I', v_app);
    execute format('grant select on payplane.plan_versions, payplane.plan_agreements, payplane.reached_thresholds to %I',
                   v_app);

    -- An engine compares the epoch with the one that it began with, on every connection.
    execute format('grant select on payplane.epoch to %I', v_app);

    execute format('grant select, insert on payplane.tenants, payplane.tenant_namespaces, payplane.tenant_grants,
                    payplane.settlement_caps, payplane.accounts, payplane.wallets, payplane.journal,
                    payplane.payments, payplane.refunds, payplane.usages, payplane.settings, payplane.batches,
                    payplane.batch_tenants, payplane.unsealed, payplane.seals, payplane.personal_data to %I', v_definer);
    execute format('grant select on payplane.settings_version, payplane.seal_head to %I', v_definer);
    execute format('grant update on payplane.tenants to %I', v_definer);
    execute format('grant update (posted_debits, posted_credits, pending_debits, pending_credits, version,
                    last_operation, status, floor_minor, ceiling_minor) on payplane.accounts to %I', v_definer);
    execute format('grant update (owner, metadata) on payplane.wallets to %I', v_definer);
    execute format('grant update (phase, captured, refunding, refunded, gateway, moved_at_us, version)
                    on payplane.payments to %I', v_definer);
    execute format('grant update (phase, approver, version) on payplane.refunds to %I', v_definer);
    execute format('grant update (day, day_minor, day_count, month, month_minor, month_count, version)
                    on payplane.usages to %I', v_definer);
    execute format('grant update (value) on payplane.settings to %I', v_definer);
    execute format('grant update (version) on payplane.settings_version to %I', v_definer);
    execute format('grant update (seal, link) on payplane.seal_head to %I', v_definer);
    execute format('grant update (data, changed_at) on payplane.personal_data to %I', v_definer);
    execute format('grant delete on payplane.tenant_namespaces, payplane.tenant_grants, payplane.settlement_caps,
                    payplane.settings, payplane.unsealed, payplane.personal_data to %I', v_definer);
    execute format('grant select, insert, update on payplane.reversals to %I', v_definer);
    execute format('grant select, update on payplane.sweep_head to %I', v_definer);
    -- Invoices are issued and never changed.
    execute format('grant select, insert on payplane.invoices, payplane.seal_blocks to %I', v_definer);
    execute format('grant select on payplane.event_head to %I', v_definer);
    execute format('grant update (epoch, seal, problem, changed_us) on payplane.event_head to %I', v_definer);
    execute format('grant select, insert on payplane.dead_letters, payplane.event_acts to %I', v_definer);
    execute format('grant update (state, problem, attempts, failed_us, decided_by, reason)
                    on payplane.dead_letters to %I', v_definer);
    -- So is all that follows on them; only who may collect is said and unsaid.
    execute format('grant select, insert on payplane.collections, payplane.credit_notes, payplane.prepaid_grants,
                    payplane.prepaid_uses, payplane.usage_events, payplane.usage_heads, payplane.collectors,
                    payplane.billing_suspensions to %I', v_definer);
    execute format('grant select, insert on payplane.plan_versions, payplane.plan_agreements,
                    payplane.reached_thresholds to %I', v_definer);
    -- What waits to be published comes and goes.
    execute format('grant select, insert, delete on payplane.unpublished_thresholds to %I', v_definer);
    execute format('grant select, insert, update, delete on payplane.billing_limits to %I', v_definer);
    execute format('grant update (position) on payplane.usage_heads to %I', v_definer);
    execute format('grant delete on payplane.collectors, payplane.billing_suspensions to %I', v_definer);
    execute format('grant usage on sequence payplane.batch_ids to %I', v_definer);
    execute format('grant select on payplane.cache_key to %I', v_definer);
    execute format('grant select, insert, update, delete on payplane.revocations to %I', v_definer);
    execute format('grant select, update on payplane.revocation_head to %I', v_definer);
    execute format('grant select, insert, update, delete on payplane.api_keys to %I', v_definer);
    execute format('grant select, update on payplane.api_key_head to %I', v_definer);
    execute format('grant select, insert, update on payplane.tenant_issuers to %I', v_definer);

    -- Forced, so that the owner of the tables is no exception. Without a tenant in the session nobody sees a row; an
    -- empty setting is what a finished transaction leaves behind and means none.
    foreach v_name in array array['tenants', 'tenant_namespaces', 'tenant_grants', 'settlement_caps', 'accounts',
                                  'wallets', 'journal', 'payments', 'refunds', 'usages', 'settings',
                                  'batch_tenants', 'personal_data', 'reversals', 'invoices', 'dead_letters', 'collectors',
                                  'collections', 'credit_notes', 'prepaid_grants', 'prepaid_uses', 'usage_events',
                                  'usage_heads', 'billing_suspensions', 'api_keys', 'tenant_issuers',
                                  'plan_versions', 'plan_agreements',
                                  'billing_limits', 'reached_thresholds', 'unpublished_thresholds'] loop
        execute format('alter table payplane.%I enable row level security', v_name);
        execute format('alter table payplane.%I force row level security', v_name);
        execute format('drop policy if exists one_tenant on payplane.%I', v_name);
        execute format('create policy one_tenant on payplane.%I for select
                        using (tenant_id = nullif(current_setting(''payplane.tenant'', true), '''')::uuid)', v_name);
        execute format('drop policy if exists definer on payplane.%I', v_name);
        execute format('create policy definer on payplane.%I to %I using (true) with check (true)', v_name, v_definer);
    end loop;
end $$;
