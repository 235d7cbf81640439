-- Keeps the sender's own word and sets the status that it means. A restored row keeps both.
create function ocd.normalise_sync_status() returns trigger
  language plpgsql set search_path = '' as $$
begin
  new.raw_status := coalesce(new.raw_status, new.status);
  new.status := case
    when lower(btrim(new.raw_status)) in ('success', 'succeeded', 'ok', 'complete', 'completed', 'synced', 'done')
      then 'success'
    when lower(btrim(new.raw_status)) in ('failure', 'failed', 'fail', 'error', 'timeout', 'timed_out', 'fatal', 'rejected')
      then 'failure'
    else 'unknown'
  end;
  return new;
end $$;
revoke execute on function ocd.normalise_sync_status() from public;
comment on function ocd.normalise_sync_status() is 'Trigger: one vocabulary for the status of a decision sync.';
-- down
drop function ocd.normalise_sync_status();
