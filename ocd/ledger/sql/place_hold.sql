-- Places a hold; one of the same rows that is open stays as it is.
-- Returns: nothing.
-- Leans on: legal_hold_open_key.
insert into ocd.legal_hold (dataset, conversation_id, customer_id, held_from, held_until, reason, placed_by)
values (:dataset, :conversation_id, :customer_id, :held_from, :held_until, :reason, :placed_by)
on conflict do nothing
