-- Inserts a reading that is not believed.
-- Returns: nothing.
insert into landing.sitemap_held
  (site, taken_at, run_id, standing_id, url_count, added_count, removed_count, reason)
values (:site, :taken_at, :run_id, :standing_id, :url_count, :added, :removed, :reason)
