-- The one way from a proposal to a reply that agents learn from.
create function public.approve_gold_reply(submission bigint, reviewer text) returns bigint
  language sql security invoker set search_path = '' as $$
  with approved as (
    update public.gold_reply_submissions
    set status = 'approved', reviewed_by = reviewer, reviewed_at = now()
    where id = submission and status = 'pending'
    returning id, sanitized_reply, tags, reviewed_by, reviewed_at, conversation_id
  )
  insert into public.support_curated_replies
    (message_body, tags, approver, approved_at, conversation_id, submission_id)
  select sanitized_reply, tags, reviewed_by, reviewed_at, conversation_id, id from approved
  returning id
$$;
revoke execute on function public.approve_gold_reply(bigint, text) from public, anon, authenticated, service_role;
comment on function public.approve_gold_reply(bigint, text) is
  'Approves a pending submission and files its sanitized reply; returns the reply''s id, null where nothing was pending.';
-- down
drop function public.approve_gold_reply(bigint, text);
