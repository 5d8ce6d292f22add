-- Which engines may still run on this schema. Migrations add first and take away later: one that takes away what engines of
-- before use says in its first lines which engine no longer does, "-- oldest engine: 20", by the newest migration that this
-- engine knows (see store/floor.rs). It stays here, because an older engine cannot read migrations that it does not know.

create table payplane.schema_floor (
    only_row boolean not null default true,
    oldest   bigint  not null default 0,
    constraint schema_floor_pkey primary key (only_row),
    constraint schema_floor_has_one_row check (only_row),
    constraint schema_floor_is_a_migration check (0 <= oldest)
);

insert into payplane.schema_floor default values;
