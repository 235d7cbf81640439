-- Who may read which readings of a sitemap; the grants stand since 0004.
create policy ocd_reader_select on landing.sitemap_snapshot for select to ocd_reader
  using (true);
-- down
drop policy ocd_reader_select on landing.sitemap_snapshot;
