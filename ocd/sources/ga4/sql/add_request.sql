-- Notes a request that is about to be sent, with the tokens set aside for it.
-- Returns: one row (id).
insert into landing.ga_request (property, report, run_id, tokens, sent_at, forgotten_at)
values (:property, :report, :run_id, :tokens, :sent_at, :forgotten_at)
returning id
