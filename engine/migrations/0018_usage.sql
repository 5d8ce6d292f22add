-- Recording usage of others at the speed of its indexes: mostly all that is sent is new, and then nothing has to be looked up.

-- As before (11): records a batch of events, each by its source and id, and says of each: 1 recorded, 2 it was there already, 3 the
-- id has another event, 4 refused, because its period is invoiced and the caller does not want it in the next one.
--
-- First all are inserted as if they were new, in the order of the key, which finds the pages of its index in memory; looking each
-- up before and after cost more than half of the time. If one is not new, or is refused, that insert never was, and they are
-- judged one by one. Who sends a batch again meets the first key at once.
create or replace function payplane.record_usage(
    p_tenant uuid, p_sources text[], p_ids text[], p_metrics text[], p_quantities bigint[], p_times bigint[],
    p_refuse_late boolean
)
returns smallint[]
language plpgsql security definer
set search_path = pg_catalog, payplane, pg_temp
set jit = off
as $$
declare
    v_position bigint;
    v_invoiced bigint;
    v_answers  smallint[];
begin
    insert into payplane.usage_heads (tenant_id) values (p_tenant) on conflict do nothing;
    update payplane.usage_heads h set position = h.position + 1 where h.tenant_id = p_tenant
    returning h.position into v_position;
    -- Read under the lock: an invoice that is issued now is cut below this position.
    select i.end_us into v_invoiced
    from payplane.invoices i where i.tenant_id = p_tenant order by i.number desc limit 1;

    if not p_refuse_late or not exists (select from unnest(p_times) as g (time_us) where g.time_us < v_invoiced) then
        begin
            insert into payplane.usage_events (tenant_id, source, event_id, metric, quantity, time_us, position)
            select p_tenant, g.source, g.event_id, g.metric, g.quantity, g.time_us, v_position
            from unnest(p_sources, p_ids, p_metrics, p_quantities, p_times)
                as g (source, event_id, metric, quantity, time_us)
            order by g.source collate "C", g.event_id collate "C";
            return array_fill(1::smallint, array[cardinality(p_ids)]);
        exception when unique_violation then
            null;
        end;
    end if;

    with given as (
        select g.*, p_refuse_late and g.time_us < v_invoiced as is_refused
        from unnest(p_sources, p_ids, p_metrics, p_quantities, p_times) with ordinality
            as g (source, event_id, metric, quantity, time_us, place)
    ),
    recorded as (
        insert into payplane.usage_events (tenant_id, source, event_id, metric, quantity, time_us, position)
        select p_tenant, g.source, g.event_id, g.metric, g.quantity, g.time_us, v_position
        from given g
        where g.is_refused is not true
        order by g.source, g.event_id, g.place
        on conflict do nothing
        returning source, event_id, metric, quantity, time_us
    ),
    -- The statement sees the table as it was before it, so what is there now is either.
    stood as (
        select e.source, e.event_id, e.metric, e.quantity, e.time_us
        from (select distinct g.source, g.event_id from given g) w
        cross join lateral (
            select e.* from payplane.usage_events e
            where e.tenant_id = p_tenant and e.source = w.source and e.event_id = w.event_id
            offset 0
        ) e
    ),
    judged as (
        select g.place, case
            when (s.metric, s.quantity, s.time_us) = (g.metric, g.quantity, g.time_us) then 2
            when s.source is not null then 3
            when r.source is null then 4
            when (r.metric, r.quantity, r.time_us) <> (g.metric, g.quantity, g.time_us) then 3
            when row_number() over (partition by g.source, g.event_id order by g.place) = 1 then 1
            else 2
        end::smallint as answer
        from given g
        left join stood s on s.source = g.source and s.event_id = g.event_id
        left join recorded r on r.source = g.source and r.event_id = g.event_id
    )
    select array_agg(j.answer order by j.place) into v_answers from judged j;
    return v_answers;
end $$;
