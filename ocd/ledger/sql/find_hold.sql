-- The open hold of exactly these rows.
-- Returns: one row (id), or none.
-- Leans on: legal_hold_open_key.
select id from ocd.legal_hold
where dataset = :dataset and released_at is null
  and conversation_id is not distinct from cast(:conversation_id as text)
  and customer_id is not distinct from cast(:customer_id as text)
  and held_from is not distinct from cast(:held_from as timestamptz)
  and held_until is not distinct from cast(:held_until as timestamptz)
