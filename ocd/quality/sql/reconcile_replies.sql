-- Returns: how many submissions were approved, beside how many replies were filed from them.
-- Grain: one row.
-- Leans on: nothing; both tables are small.
select 'approved submissions' as item,
  (select count(*) from public.gold_reply_submissions where status = 'approved') as left_value,
  (select count(*) from public.support_curated_replies r
   where exists (select 1 from public.gold_reply_submissions s where s.id = r.submission_id and s.status = 'approved')) as right_value
