-- Who may read which partitions of GA4; the grants stand since 0004.
create policy ocd_reader_select on landing.ga_partition for select to ocd_reader
  using (true);
-- down
drop policy ocd_reader_select on landing.ga_partition;
