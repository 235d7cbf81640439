-- Who may do what with agent_feedback: the grants, then the rows that each policy lets through.
revoke all on table public.agent_feedback from public, anon, authenticated, service_role;
do $$ declare s text := pg_get_serial_sequence('public.agent_feedback', 'id'); begin
  if s is not null then
    execute format('revoke all on sequence %s from public, anon, authenticated, service_role', s);
    execute format('grant usage, select on sequence %s to ocd_worker, service_role', s);
  end if;
end $$;
grant select, insert, update, delete on public.agent_feedback to ocd_worker, service_role;
grant select on public.agent_feedback to authenticated;
grant select, update (safe_to_send, labels, rubric, annotator, notes) on public.agent_feedback to annotator, qa_team;

drop policy own_conversation on public.agent_feedback;
create policy authenticated_select on public.agent_feedback for select to authenticated
  using (conversation_id = (select auth.jwt() ->> 'conversation_id'));
create policy annotator_select on public.agent_feedback for select to annotator
  using (true);
create policy annotator_update on public.agent_feedback for update to annotator
  using (true) with check (annotator = (select auth.jwt() ->> 'sub'));
create policy qa_team_select on public.agent_feedback for select to qa_team
  using (true);
create policy qa_team_update on public.agent_feedback for update to qa_team
  using (true) with check (annotator = (select auth.jwt() ->> 'sub'));
-- down
drop policy authenticated_select on public.agent_feedback;
drop policy annotator_select on public.agent_feedback;
drop policy annotator_update on public.agent_feedback;
drop policy qa_team_select on public.agent_feedback;
drop policy qa_team_update on public.agent_feedback;
create policy own_conversation on public.agent_feedback for select to authenticated
  using (conversation_id = (select auth.jwt() ->> 'conversation_id'));
revoke all on table public.agent_feedback from ocd_worker, service_role, authenticated, annotator, qa_team;
grant select on public.agent_feedback to authenticated;
grant select, insert, update, delete on public.agent_feedback to ocd_worker, service_role;
