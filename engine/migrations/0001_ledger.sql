-- The ledger's tables. `payplane-engine migrate` runs this as the database's owner; who may do what with them is
-- granted afterwards, from engine/src/store/posture.sql, because the names of the roles follow from the database.
--
-- The tenant leads every key, so one tenant's rows lie together and no unique key can tell one tenant about another's.

-- One row: the identity of this ledger. Every operation id is derived from it, so two ledgers never share an id.
create table payplane.platform (
    only_row    boolean     not null default true,
    platform_id uuid        not null default gen_random_uuid(),
    created_at  timestamptz not null default clock_timestamp(),
    constraint platform_pkey primary key (only_row),
    constraint platform_has_one_row check (only_row)
);

insert into payplane.platform default values;

-- What can be said of one value is said by its domain rather than by a constraint of its table: PostgreSQL reads the text
-- of a table's constraints anew with every statement, which cost a small batch a quarter of its time, and remembers
-- domains. For the same reason commit_batch checks what only its own callers could get wrong.
create domain payplane.currency_code as text collate "C" check (value ~ '^[A-Z][A-Z0-9]{2,11}$');
-- 1 active, 2 frozen for debits, 3 frozen for credits, 4 frozen, 5 closed.
create domain payplane.account_status as smallint check (value between 1 and 5);
-- 1 wallet, 2 settlement, 3 clearing, 4 fee, 5 suspense.
create domain payplane.account_kind as smallint check (value between 1 and 5);
create domain payplane.account_floor as bigint check (value <= 0);
create domain payplane.account_ceiling as bigint check (0 <= value);
create domain payplane.account_total as bigint check (0 <= value);
create domain payplane.row_count as integer check (0 < value);
create domain payplane.sha256 as bytea check (octet_length(value) = 32);

create table payplane.tenants (
    tenant_id    uuid        not null,
    name         text        not null collate "C",
    -- A number of payplane.v1.Role; 0 refuses service accounts without a grant.
    default_role smallint    not null default 0,
    -- Whether nothing new may leave its accounts. A change counts as a change of settings (settings_version).
    suspended    boolean     not null default false,
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

-- What counts: balances and what decides about a debit or a credit. Every payment updates two rows: no index holds a
-- column that an update changes and pages keep room, so updates stay on their page (HOT) and leave the indexes alone.
-- What describes an account is in payplane.wallets, so that it is not written again with every payment.
create table payplane.accounts (
    tenant_id       uuid        not null,
    account_id      uuid        not null,
    kind            payplane.account_kind   not null,
    status          payplane.account_status not null default 1,
    currency        payplane.currency_code  not null,
    -- The lowest available balance that a debit may leave, in minor units.
    floor_minor     payplane.account_floor  not null default 0,
    -- The highest balance that a credit may lead to, held money included; null for none.
    ceiling_minor   payplane.account_ceiling,
    posted_debits   payplane.account_total  not null default 0,
    posted_credits  payplane.account_total  not null default 0,
    pending_debits  payplane.account_total  not null default 0,
    pending_credits payplane.account_total  not null default 0,
    -- Counts the operations that changed the account. A batch is applied only to the version that it was decided on.
    version         bigint      not null default 0,
    -- The sequence of the last of them, 0 for none: the head of the account's history.
    last_operation  bigint      not null default 0,
    -- Groups wallets that share parameters; empty for none.
    class           text        not null default '' collate "C",
    constraint accounts_pkey primary key (tenant_id, account_id),
    constraint accounts_tenant_fkey foreign key (tenant_id) references payplane.tenants,
    -- Settlement accounts are left out: lowering a cap below what is already used must be possible. commit_batch
    -- checks their floor on every debit.
    constraint accounts_wallet_above_floor check (
        kind = 2 or floor_minor <= posted_credits - posted_debits - pending_debits
    )
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

-- What a wallet is called and whose it is. The tenant's own accounts have no row.
create table payplane.wallets (
    tenant_id  uuid        not null,
    account_id uuid        not null,
    -- 1 API, 2 custom resource.
    origin     smallint    not null,
    name       text        not null collate "C",
    -- A reference into the caller's system, never personal data.
    owner      text        not null default '',
    metadata   jsonb       not null default '{}',
    created_at timestamptz not null default clock_timestamp(),
    -- What the wallet was created with, so that asking again for the same wallet is told from asking for another one
    -- after its terms were changed.
    first_floor_minor   bigint not null default 0,
    first_ceiling_minor bigint,
    constraint wallets_pkey primary key (tenant_id, account_id),
    -- Over both origins, so a name means one wallet whoever asks.
    constraint wallets_name_key unique (tenant_id, name),
    constraint wallets_account_fkey foreign key (tenant_id, account_id) references payplane.accounts,
    constraint wallets_origin_known check (origin in (1, 2)),
    constraint wallets_metadata_is_object check (jsonb_typeof(metadata) = 'object')
);

-- Drawn before a batch is decided. Who draws a number owns the three after it too, for batches that are sent before the
-- next number is known. Gaps are normal; on each account numbers only grow, because a batch with a number below an
-- account's last operation is not applied.
create sequence payplane.batch_ids increment by 4;

-- The journal: what was asked under a key and what became of it, refusals included, for the life of the ledger. One row
-- is one operation with at most one debit and one credit of the same amounts, so an unbalanced entry cannot be written
-- down. Rows never change. They hold references, never personal data.
--
-- operation_id is the key in compact form (a hash of tenant, origin and key), so the primary key is the one random index
-- that an operation costs. Sequence numbers grow, so the other index is appended to and stays cheap.
--
-- Each row points at the row before it on either account. An account's history is that chain, read from
-- accounts.last_operation through the sequence; the two indexes by account that a query would need otherwise cost about
-- as much as everything else together (7 to 8 of 17 microseconds per transfer, measured).
create table payplane.journal (
    tenant_id              uuid     not null,
    operation_id           uuid     not null,
    -- Batch number times 1,024 plus the line within the batch.
    sequence               bigint   not null,
    -- A number of payplane.v1.OperationKind.
    kind                   smallint not null,
    -- 1 API, 2 custom resource.
    origin                 smallint not null,
    -- As asked; zero where the kind takes all that is left.
    minor                  bigint   not null,
    -- What was moved on both accounts; null if no account changed.
    posted                 bigint,
    -- What more is held on both accounts or, if negative, less; null if no account changed.
    pending                bigint,
    -- Of a refused payment the accounts that were asked for; otherwise those that changed.
    debit_account          uuid,
    credit_account         uuid,
    debit_previous         bigint,
    debit_posted_debits    bigint,
    debit_posted_credits   bigint,
    debit_pending_debits   bigint,
    debit_pending_credits  bigint,
    debit_version          bigint,
    credit_previous        bigint,
    credit_posted_debits   bigint,
    credit_posted_credits  bigint,
    credit_pending_debits  bigint,
    credit_pending_credits bigint,
    credit_version         bigint,
    -- The payment or refund acted on.
    target                 uuid,
    currency               text     not null collate "C",
    key                    text     not null collate "C",
    reference              text     not null,
    origin_ref             text     not null,
    actor                  text     not null,
    correlation_id         text     not null,
    -- Null if it was done. Else numbers: of payplane.v1.RefusalReason, of the field to blame, and of the parameter that
    -- was exceeded (its name times 10 plus the level at which it is set, 0 for none).
    refusal                smallint,
    refusal_field          smallint,
    refusal_limit          smallint,
    -- What only some operations ask for and leave behind; null for a plain payment.
    terms                  text,
    after                  text,
    constraint journal_pkey primary key (tenant_id, operation_id),
    -- Whatever moves has two sides, and a refusal moves nothing. Only a change of a wallet's terms (14) has one account,
    -- and it moves nothing either. commit_batch says more about amounts.
    constraint journal_two_sides check (
        case
            when posted is null then num_nonnulls(pending, debit_version, credit_version) = 0
            when kind = 14 then
                refusal is null and posted = 0 and pending = 0 and num_nulls(debit_account, debit_version) = 0
                and num_nonnulls(credit_account, credit_version) = 0
            else
                refusal is null and debit_account <> credit_account
                and num_nulls(pending, debit_account, debit_version, credit_account, credit_version) = 0
        end
    )
);

-- The condition always holds, and whoever reads by sequence repeats it. It keeps this index out of plans that look a key
-- up: while the table is small both indexes look equally good, and such a plan would go on reading all of a tenant's rows
-- when it is large.
create unique index journal_sequence_key on payplane.journal (tenant_id, sequence) where 0 < sequence;

-- Payments that were held or refunded, as they stand. A payment that was made at once and never refunded has no row: all
-- about it is in the journal.
create table payplane.payments (
    tenant_id      uuid     not null,
    payment_id     uuid     not null,
    debit_account  uuid     not null,
    credit_account uuid     not null,
    currency       text     not null collate "C",
    -- 1 pending, 2 processing, 3 completed, 4 failed, 5 voided, 6 expired.
    phase          smallint not null,
    amount         bigint   not null,
    captured       bigint   not null,
    refunding      bigint   not null,
    refunded       bigint   not null,
    -- Microseconds since 1970.
    deadline_us    bigint,
    deadline_level smallint,
    capture_at_us  bigint,
    gateway        text     not null default '',
    moved_at_us    bigint,
    version        bigint   not null,
    constraint payments_pkey primary key (tenant_id, payment_id),
    constraint payments_phase_known check (phase between 1 and 6),
    constraint payments_captured_in_bounds check (0 < amount and captured between 0 and amount),
    -- The cap on refunds, whatever the engine says.
    constraint payments_refunds_capped check (
        0 <= refunding and 0 <= refunded and refunding + refunded <= captured
    )
) with (fillfactor = 80);

-- What a sweep looks for: few rows, because settled payments are not in it.
create index payments_due on payplane.payments (least(deadline_us, capture_at_us)) where phase = 1;

create table payplane.refunds (
    tenant_id  uuid     not null,
    refund_id  uuid     not null,
    payment_id uuid     not null,
    amount     bigint   not null,
    currency   text     not null collate "C",
    -- 1 requested, 2 approved, 3 completed, 4 rejected, 5 failed.
    phase      smallint not null,
    requester  text     not null,
    approver   text     not null,
    version    bigint   not null,
    constraint refunds_pkey primary key (tenant_id, refund_id),
    constraint refunds_payment_fkey foreign key (tenant_id, payment_id) references payplane.payments,
    constraint refunds_amount_positive check (0 < amount),
    constraint refunds_phase_known check (phase between 1 and 5),
    -- Four eyes, whatever the engine says. Who asked may withdraw.
    constraint refunds_approver_differs check (phase = 4 or approver = '' or approver <> requester)
);

-- The condition always holds; see journal_sequence_key.
create index refunds_of_payment on payplane.refunds (tenant_id, payment_id) where 0 < amount;

-- What a wallet with limits, or a tenant with limits (its id as subject), has paid in the current day and month.
create table payplane.usages (
    tenant_id   uuid    not null,
    subject     uuid    not null,
    currency    text    not null collate "C",
    day         integer not null,
    day_minor   bigint  not null,
    day_count   bigint  not null,
    month       integer not null,
    month_minor bigint  not null,
    month_count bigint  not null,
    version     bigint  not null,
    constraint usages_pkey primary key (tenant_id, subject, currency),
    constraint usages_not_negative check (
        0 <= day_minor and 0 <= day_count and 0 <= month_minor and 0 <= month_count
    )
) with (fillfactor = 70);

-- Parameters by platform (tenant is the nil id), tenant, class of wallets and wallet.
create table payplane.settings (
    tenant_id uuid     not null,
    -- 1 platform, 2 tenant, 3 class, 4 wallet.
    level     smallint not null,
    -- The class, or the wallet's id as text; empty otherwise.
    scope     text     not null collate "C",
    name      smallint not null,
    -- Empty for all currencies.
    currency  text     not null collate "C",
    value     bigint   not null,
    constraint settings_pkey primary key (tenant_id, level, scope, name, currency),
    constraint settings_level_known check (level between 1 and 4),
    constraint settings_name_known check (name between 1 and 13),
    constraint settings_value_not_negative check (0 <= value)
);

-- Grows with every change of settings and with every suspension, so that an engine knows whether what it remembers is current.
create table payplane.settings_version (
    only_row boolean not null default true,
    version  bigint  not null default 1,
    constraint settings_version_pkey primary key (only_row),
    constraint settings_version_has_one_row check (only_row)
);

insert into payplane.settings_version default values;

-- One row per committed batch: the hash over its rows.
create table payplane.batches (
    batch_id   bigint not null,
    root       payplane.sha256 not null,
    -- Microseconds since 1970 by the database's clock: the time of every decision in the batch.
    decided_us bigint not null,
    constraint batches_pkey primary key (batch_id)
);

create table payplane.batch_tenants (
    tenant_id uuid    not null,
    batch_id  bigint  not null,
    root      payplane.sha256    not null,
    row_count payplane.row_count not null,
    constraint batch_tenants_pkey primary key (tenant_id, batch_id)
);

-- Committed batches that the sealer has not seen. A batch that commits late is found whenever it appears, whatever its
-- number, so nothing is ever skipped.
create table payplane.unsealed (
    batch_id bigint not null,
    constraint unsealed_pkey primary key (batch_id)
) with (autovacuum_vacuum_scale_factor = 0.02);

-- The chain over committed batches, in the gapless order in which they were sealed.
create table payplane.seals (
    seal      bigint not null,
    batch_id  bigint not null,
    link      bytea  not null,
    sealed_us bigint not null,
    constraint seals_pkey primary key (seal),
    constraint seals_batch_key unique (batch_id),
    constraint seals_link_is_sha256 check (octet_length(link) = 32)
);

-- The chain's end. Whoever seals locks this row, so there is one sealer at a time, and one that was paused finds the
-- chain where the next one left it.
create table payplane.seal_head (
    only_row boolean not null default true,
    seal     bigint  not null default 0,
    link     bytea   not null default decode(repeat('00', 32), 'hex'),
    constraint seal_head_pkey primary key (only_row),
    constraint seal_head_has_one_row check (only_row)
);

insert into payplane.seal_head default values;

-- Data about people, apart from the ledger: the ledger refers to it by subject, so erasing it breaks no proof.
create table payplane.personal_data (
    tenant_id  uuid        not null,
    subject    text        not null collate "C",
    data       jsonb       not null,
    changed_at timestamptz not null default clock_timestamp(),
    constraint personal_data_pkey primary key (tenant_id, subject),
    constraint personal_data_is_object check (jsonb_typeof(data) = 'object')
);
