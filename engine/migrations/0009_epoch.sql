-- The ledger's epoch: one more with each restore. What an engine remembers of accounts and keys may never have been in a
-- ledger that was restored to an earlier point, so an engine that began with another epoch is refused (see store/epoch.rs).

create table payplane.epoch (
    only_row    boolean not null default true,
    epoch       bigint  not null default 1,
    -- The restore that moved it on: it moves once for each, however often that is tried.
    restored_by text    not null default '',
    constraint epoch_pkey primary key (only_row),
    constraint epoch_has_one_row check (only_row),
    constraint epoch_begins_with_one check (1 <= epoch),
    constraint epoch_restored_by_is_short check (length(restored_by) <= 100)
);

insert into payplane.epoch default values;
