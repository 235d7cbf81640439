-- Who may do what with quality_result: the grants, then the rows that each policy lets through.
grant select, insert, delete on ocd.quality_result to ocd_worker;
grant select on ocd.quality_result to ocd_reader;

create policy ocd_reader_select on ocd.quality_result for select to ocd_reader
  using (true);
-- down
drop policy ocd_reader_select on ocd.quality_result;
revoke all on table ocd.quality_result from ocd_worker, ocd_reader;
