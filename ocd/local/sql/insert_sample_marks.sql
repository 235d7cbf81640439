-- Marks for every fifth sample run of the last eighty days, the same ones every time.
-- Returns: nothing; one row of agent_qc per marked run.
-- Leans on: agent_run_pkey; the sample is read whole.
insert into public.agent_qc (run_id, quality_score, created_at)
select r.run_id, 2 + abs(hashtext(r.run_id::text)) % 4, r.ended_at
from (select *, row_number() over (order by id) as number from public.agent_run
      where metadata @> '{"sample": true}'
        and started_at > (select max(started_at) from public.agent_run) - interval '80 days') r
where r.number % 5 = 1
order by r.number
