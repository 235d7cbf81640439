-- The curated reply of every approved sample submission, as an approval files it.
-- Returns: nothing; one row of support_curated_replies per approved submission.
-- Leans on: gold_reply_submissions_pkey; the sample is read whole.
insert into public.support_curated_replies
  (message_body, tags, approver, approved_at, source_message_id, conversation_id, submission_id, created_at, updated_at)
select sanitized_reply, tags, reviewed_by, reviewed_at, delivery_id, conversation_id, id, reviewed_at, reviewed_at
from public.gold_reply_submissions
where delivery_id like 'demo-%' and status = 'approved'
order by id
