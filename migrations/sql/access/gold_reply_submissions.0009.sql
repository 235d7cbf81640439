-- Who may do what with gold_reply_submissions: the grants, then the rows that each policy lets through.
grant select, insert, update, delete on public.gold_reply_submissions to ocd_worker, service_role;
grant insert (shop_domain, conversation_id, original_reply, category, tags, customer_issue_summary, submitted_by, metadata, evidence_url, delivery_id, payload_sha256) on public.gold_reply_submissions to support_webhook;

create policy support_webhook_insert on public.gold_reply_submissions for insert to support_webhook
  with check (status = 'pending' and reviewed_by is null and reviewed_at is null);
-- down
drop policy support_webhook_insert on public.gold_reply_submissions;
revoke all on table public.gold_reply_submissions from ocd_worker, service_role, support_webhook;
