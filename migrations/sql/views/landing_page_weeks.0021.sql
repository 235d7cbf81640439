-- The seven days before `as_of` against the seven before those, for each landing page of a property. `as_of` is the
-- day after the newest one that is stored; a week of fewer days than seven compares with nothing.
create view landing.landing_page_weeks with (security_invoker = true) as
with newest as (
  select property, max(day) + 1 as as_of from landing.ga_partition where report = 'landing_pages' group by property
), weeks as (
  select n.property, n.as_of, count(*) filter (where p.day >= n.as_of - 7) as days,
         count(*) filter (where p.day < n.as_of - 7) as days_before, bool_or(p.is_provisional) as is_provisional,
         bool_or(p.is_thresholded or p.is_sampled or p.has_other_row or p.has_data_loss) as is_incomplete,
         min(p.fetched_at) as fetched_at, case when count(distinct p.origin) = 1 then min(p.origin) else 'mixed' end as origin
  from newest n
  join landing.ga_partition p on p.property = n.property and p.report = 'landing_pages' and p.day >= n.as_of - 14
  group by n.property, n.as_of
), pages as (
  select n.property, coalesce(nullif(r.dimensions ->> 'landingPage', ''), '(not set)') as landing_page,
         coalesce(sum((r.metrics ->> 'sessions')::bigint) filter (where p.day >= n.as_of - 7), 0) as sessions,
         coalesce(sum((r.metrics ->> 'sessions')::bigint) filter (where p.day < n.as_of - 7), 0) as sessions_before
  from newest n
  join landing.ga_partition p on p.property = n.property and p.report = 'landing_pages' and p.day >= n.as_of - 14
  join landing.ga_row r on r.partition_id = p.id
  group by n.property, 2
)
select w.property, w.as_of, g.landing_page, g.sessions, g.sessions_before,
       case when w.days = 7 and w.days_before = 7 and g.sessions_before > 0
         then (g.sessions - g.sessions_before) / g.sessions_before end as change,
       w.days, w.days_before, w.is_provisional, w.is_incomplete, w.origin, w.fetched_at
from weeks w
join pages g on g.property = w.property;
comment on view landing.landing_page_weeks is 'Sessions of the last seven stored days against the seven before, by property and landing page.';
revoke all on table landing.landing_page_weeks from public, anon, authenticated, service_role;
grant select on landing.landing_page_weeks to ocd_reader, ocd_worker;
-- down
drop view landing.landing_page_weeks;
