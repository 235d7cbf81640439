-- Who may do what with decision_log: the grants, then the rows that each policy lets through.
grant select, insert, delete on public.decision_log to ocd_worker, service_role;
grant select, insert (scope, actor, action, rationale, evidence_url, shop_domain, external_ref, payload) on public.decision_log to authenticated;
grant select on public.decision_log to operator_readonly, qa_team;

create policy authenticated_select on public.decision_log for select to authenticated
  using (scope = (select coalesce(auth.jwt() ->> 'scope', 'ops')));
create policy authenticated_insert on public.decision_log for insert to authenticated
  with check (scope = (select coalesce(auth.jwt() ->> 'scope', 'ops')));
create policy operator_readonly_select on public.decision_log for select to operator_readonly
  using (true);
create policy qa_team_select on public.decision_log for select to qa_team
  using (true);
-- down
drop policy authenticated_select on public.decision_log;
drop policy authenticated_insert on public.decision_log;
drop policy operator_readonly_select on public.decision_log;
drop policy qa_team_select on public.decision_log;
revoke all on table public.decision_log from ocd_worker, service_role, authenticated, operator_readonly, qa_team;
