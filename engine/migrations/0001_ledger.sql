-- The ledger's tables. `payplane-engine migrate` runs this as the database's owner; who may do what with them is
-- granted afterwards, from engine/src/store/posture.sql, because the names of the roles follow from the database.
--
-- The tenant leads every key, so one tenant's rows lie together and no unique key can tell one tenant about another's.

-- One row: the identity of this ledger. Every payment id is derived from it, so two ledgers never share an id.
create table payplane.platform (
    only_row    boolean     not null default true,
    platform_id uuid        not null default gen_random_uuid(),
    created_at  timestamptz not null default clock_timestamp(),
    constraint platform_pkey primary key (only_row),
    constraint platform_has_one_row check (only_row)
);

insert into payplane.platform default values;

create table payplane.tenants (
    tenant_id    uuid        not null,
    name         text        not null collate "C",
    -- A number of payplane.v1.Role; 0 refuses service accounts without a grant.
    default_role smallint    not null default 0,
    created_at   timestamptz not null default clock_timestamp(),
    constraint tenants_pkey primary key (tenant_id),
    constraint tenants_name_key unique (name),
    constraint tenants_default_role_known check (default_role between 0 and 5)
);

-- The namespace alone is the key, unlike everywhere else: one namespace belongs to one tenant.
create table payplane.tenant_namespaces (
    namespace text not null collate "C",
    tenant_id uuid not null,
    constraint tenant_namespaces_pkey primary key (namespace),
    constraint tenant_namespaces_tenant_fkey foreign key (tenant_id) references payplane.tenants
);

create table payplane.tenant_grants (
    tenant_id uuid     not null,
    namespace text     not null collate "C",
    name      text     not null collate "C",
    role      smallint not null,
    constraint tenant_grants_pkey primary key (tenant_id, namespace, name),
    constraint tenant_grants_tenant_fkey foreign key (tenant_id) references payplane.tenants,
    constraint tenant_grants_role_known check (role between 1 and 5)
);

-- What the Tenant object asks for. The account's floor follows; without an entry the floor is zero.
create table payplane.settlement_caps (
    tenant_id uuid   not null,
    currency  text   not null collate "C",
    cap_minor bigint not null,
    constraint settlement_caps_pkey primary key (tenant_id, currency),
    constraint settlement_caps_tenant_fkey foreign key (tenant_id) references payplane.tenants,
    constraint settlement_caps_not_negative check (0 <= cap_minor)
);

-- Wallets and settlement accounts. Every payment updates two rows: no index holds a column that an update changes and
-- pages keep room, so updates stay on their page (HOT) and leave the indexes alone.
create table payplane.accounts (
    tenant_id       uuid        not null,
    account_id      uuid        not null,
    -- 1 wallet, 2 settlement.
    kind            smallint    not null,
    -- 1 active, 2 frozen for debits, 3 frozen for credits, 4 frozen, 5 closed.
    status          smallint    not null default 1,
    currency        text        not null collate "C",
    -- The lowest available balance that a debit may leave, in minor units.
    floor_minor     bigint      not null default 0,
    posted_debits   bigint      not null default 0,
    posted_credits  bigint      not null default 0,
    pending_debits  bigint      not null default 0,
    pending_credits bigint      not null default 0,
    -- Counts postings.
    version         bigint      not null default 0,
    -- The account's last transfer, 0 for none: the head of its history.
    last_transfer   bigint      not null default 0,
    -- 1 API, 2 custom resource.
    origin          smallint    not null,
    -- Null for settlement accounts.
    name            text        collate "C",
    owner           text        not null default '',
    created_at      timestamptz not null default clock_timestamp(),
    constraint accounts_pkey primary key (tenant_id, account_id),
    -- Over both origins, so a name means one wallet whoever asks.
    constraint accounts_name_key unique (tenant_id, name),
    constraint accounts_tenant_fkey foreign key (tenant_id) references payplane.tenants,
    constraint accounts_kind_known check (kind in (1, 2)),
    constraint accounts_status_known check (status between 1 and 5),
    constraint accounts_origin_known check (origin in (1, 2)),
    constraint accounts_wallet_has_name check ((kind = 1) = (name is not null)),
    constraint accounts_currency_form check (currency ~ '^[A-Z][A-Z0-9]{2,11}$'),
    constraint accounts_floor_not_positive check (floor_minor <= 0),
    constraint accounts_totals_not_negative check (
        0 <= posted_debits and 0 <= posted_credits and 0 <= pending_debits and 0 <= pending_credits and 0 <= version
    ),
    -- Settlement accounts are left out: lowering a cap below what is already used must be possible. commit_batch
    -- checks their floor on every debit.
    constraint accounts_wallet_above_floor check (
        kind <> 1 or floor_minor <= posted_credits - posted_debits - pending_debits
    )
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

-- Drawn while the accounts are locked, so on each account numbers only grow. Gaps are normal.
create sequence payplane.batch_ids;

-- What was asked under a key and what became of it, refusals included, for the life of the ledger. payment_id is the
-- key in compact form (a hash of tenant, origin and key), so this primary key is the one random index that a payment
-- costs. Rows never change. They hold references, never personal data.
create table payplane.payments (
    tenant_id      uuid        not null,
    payment_id     uuid        not null,
    -- Batch number times 1,024 plus the line within the batch.
    sequence       bigint      not null,
    -- 1 API, 2 custom resource.
    origin         smallint    not null,
    key            text        not null collate "C",
    debit_account  uuid        not null,
    credit_account uuid        not null,
    minor          bigint      not null,
    currency       text        not null collate "C",
    reference      text        not null,
    origin_ref     text        not null,
    actor          text        not null,
    correlation_id text        not null,
    -- Null if money moved, else a number of payplane.v1.RefusalReason.
    refusal        smallint,
    refusal_field  text,
    decided_at     timestamptz not null,
    constraint payments_pkey primary key (tenant_id, payment_id),
    constraint payments_two_accounts check (debit_account <> credit_account),
    constraint payments_minor_positive check (0 < minor),
    constraint payments_origin_known check (origin in (1, 2)),
    constraint payments_refusal_definitive check (refusal is null or 5 <= refusal),
    constraint payments_refusal_has_field check ((refusal is null) = (refusal_field is null))
);

-- One narrow row per transfer: one debit and one credit of the same amount, so an unbalanced entry cannot be written
-- down. Sequence numbers grow, so the primary key is appended to and stays cheap.
--
-- Each row points at the transfer before it on either account. An account's history is that chain, read from
-- accounts.last_transfer through this primary key; the two indexes by account that a query would need otherwise cost
-- about as much as everything else together (7 to 8 of 17 microseconds per transfer, measured).
create table payplane.transfers (
    tenant_id              uuid   not null,
    sequence               bigint not null,
    payment_id             uuid   not null,
    debit_account          uuid   not null,
    credit_account         uuid   not null,
    minor                  bigint not null,
    currency               text   not null collate "C",
    debit_previous         bigint not null,
    debit_posted_debits    bigint not null,
    debit_posted_credits   bigint not null,
    debit_pending_debits   bigint not null,
    debit_pending_credits  bigint not null,
    debit_version          bigint not null,
    credit_previous        bigint not null,
    credit_posted_debits   bigint not null,
    credit_posted_credits  bigint not null,
    credit_pending_debits  bigint not null,
    credit_pending_credits bigint not null,
    credit_version         bigint not null,
    constraint transfers_pkey primary key (tenant_id, sequence),
    constraint transfers_two_accounts check (debit_account <> credit_account),
    constraint transfers_minor_positive check (0 < minor)
);

-- One row per committed batch: the hash over its rows, to be chained by the sealer.
create table payplane.batches (
    batch_id   bigint      not null,
    root       bytea       not null,
    decided_at timestamptz not null,
    constraint batches_pkey primary key (batch_id),
    constraint batches_root_is_sha256 check (octet_length(root) = 32)
);

create table payplane.batch_tenants (
    tenant_id uuid    not null,
    batch_id  bigint  not null,
    root      bytea   not null,
    row_count integer not null,
    constraint batch_tenants_pkey primary key (tenant_id, batch_id),
    constraint batch_tenants_root_is_sha256 check (octet_length(root) = 32),
    constraint batch_tenants_not_empty check (0 < row_count)
);
