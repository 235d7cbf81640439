-- Sessions per landing page and day, out of the stored GA4 report: no second copy to keep in step.
create view landing.landing_page_sessions with (security_invoker = true) as
select p.property, p.day, r.dimensions ->> 'landingPage' as landing_page,
       (r.metrics ->> 'sessions')::bigint as sessions, p.origin, p.is_provisional, p.fetched_at, p.run_id
from landing.ga_partition p
join landing.ga_row r on r.partition_id = p.id
where p.report = 'landing_pages';
comment on view landing.landing_page_sessions is 'Sessions per property, day and landing page, with their origin.';
revoke all on table landing.landing_page_sessions from public, anon, authenticated, service_role;
grant select on landing.landing_page_sessions to ocd_reader, ocd_worker;
-- down
drop view landing.landing_page_sessions;
