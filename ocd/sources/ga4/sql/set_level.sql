-- Notes what is left of a quota, and until when Google refuses because of it. Of two answers that cross, the later
-- request's counts; an older one can only say that less is left.
-- Returns: nothing. Grain: one row per property and quota.
-- Leans on: ga_quota_pkey.
insert into landing.ga_quota as q (property, quota, remaining, as_of, blocked_until)
values (:property, :quota, :remaining, :as_of, :blocked_until)
on conflict (property, quota) do update set
  remaining = case when excluded.as_of >= q.as_of then excluded.remaining else least(q.remaining, excluded.remaining) end,
  as_of = greatest(q.as_of, excluded.as_of),
  blocked_until = case when excluded.as_of >= q.as_of then excluded.blocked_until else q.blocked_until end
