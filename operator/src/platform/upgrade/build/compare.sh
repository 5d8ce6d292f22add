#!/bin/sh
# Asks both servers for every table's number of rows and the sum of their hashes, for every object's name, and for who may do what: the
# answers have to be the same. That is besides the ledger's own verification, which comes next.
# Rights are compared without those of owners, which an owner has in any case, and which later versions have more of.
contents() {
    ask "$1" <<'SQL'
\set ours '(select oid, nspname from pg_namespace where nspname !~ ''^(pg_|information_schema$)'') ours'
select 'role', rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit,
       rolvaliduntil, md5(rolpassword) from pg_authid where rolname !~ '^pg_' order by rolname;
select 'member', roleid::regrole, member::regrole, admin_option from pg_auth_members
where roleid::regrole::text !~ '^pg_' order by 2, 3;
select 'setting', (select datname from pg_database d where d.oid = setdatabase), setrole::regrole, unnest(setconfig)
from pg_db_role_setting order by 2, 3, 4;
select 'relation', nspname, relname, relkind, relowner::regrole, relrowsecurity, relforcerowsecurity, relpersistence, reloptions
from pg_class c join :ours on ours.oid = relnamespace order by 2, 3;
select 'column', attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated
from pg_attribute a join pg_class c on c.oid = attrelid join :ours on ours.oid = relnamespace
where 0 < attnum and not attisdropped and relkind in ('r', 'p', 'v', 'm', 'c') order by 2, 3;
select 'index', indexrelid::regclass::text, indisunique, indisprimary, indisvalid
from pg_index i join pg_class c on c.oid = indrelid join :ours on ours.oid = relnamespace order by 2;
select 'constraint', nspname, conrelid::regclass::text, contypid::regtype::text, conname, contype, convalidated
from pg_constraint c join :ours on ours.oid = connamespace where contype <> 'n' order by 2, 3, 4, 5;
select 'trigger', tgrelid::regclass::text, tgname, tgenabled from pg_trigger where not tgisinternal order by 2, 3;
select 'policy', polrelid::regclass::text, polname, polcmd, polpermissive from pg_policy order by 2, 3;
select 'function', p.oid::regprocedure::text, proowner::regrole, prosecdef, provolatile, proconfig, md5(prosrc)
from pg_proc p join :ours on ours.oid = pronamespace order by 2;
select 'right', what, coalesce(grantee::regrole::text, 'public'), privilege_type, is_grantable from (
    select 'database' as what, datacl as acl, datdba as owner from pg_database where datname = current_database()
    union all select 'schema ' || n.nspname, nspacl, nspowner from pg_namespace n join :ours using (oid)
    union all select 'relation ' || c.oid::regclass, relacl, relowner from pg_class c join :ours on ours.oid = relnamespace
    union all select 'function ' || p.oid::regprocedure, proacl, proowner from pg_proc p join :ours on ours.oid = pronamespace
    union all select 'type ' || t.oid::regtype, typacl, typowner from pg_type t join :ours on ours.oid = typnamespace
) objects, aclexplode(acl) where grantee <> owner order by 2, 3, 4;
select 'sequence', schemaname, sequencename, last_value, increment_by, cycle from pg_sequences order by 2, 3;
select format('select ''rows'', %L, count(*), sum((''x'' || left(md5(t::text), 16))::bit(64)::bigint) from only %I.%I t',
              nspname || '.' || relname, nspname, relname)
from pg_class c join :ours on ours.oid = relnamespace where relkind = 'r' order by nspname, relname \gexec
SQL
}
contents "$(old)" >/scratch/contents.old
contents "$(new)" >/scratch/contents.new
grep -q '^rows|' /scratch/contents.old || fail "the old server has no table"
if ! diff /scratch/contents.old /scratch/contents.new >/scratch/differences; then
    # Not what: a hash of a password could be among it.
    fail "the copy differs: $(sed -n 's/^[<>] \([a-z]*|[^|]*\)|.*/\1/p' /scratch/differences | sort -u | head -n 5 | tr '\n' ' ')"
fi
rm -f /scratch/contents.*
