-- Who may do what with support_curated_replies: the grants, then the rows that each policy lets through.
grant select, insert, update, delete on public.support_curated_replies to ocd_worker, service_role;
grant select on public.support_curated_replies to ai_readonly;

create policy ai_readonly_select on public.support_curated_replies for select to ai_readonly
  using (true);
-- down
drop policy ai_readonly_select on public.support_curated_replies;
revoke all on table public.support_curated_replies from ocd_worker, service_role, ai_readonly;
