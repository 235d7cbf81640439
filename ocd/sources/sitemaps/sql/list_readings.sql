-- The readings of one site or of all: believed ones, and held ones without an id of their own.
-- Returns: one row per reading, newest first. Leans on: sitemap_snapshot_site_idx, sitemap_held_site_idx (site, id).
select * from (
  select id, site, taken_at, run_id, url_count, file_count, added_count, removed_count, changed_count,
    lastmod_only_count, not_modified_count, soft_404_count, is_lastmod_uniform, null as held_reason
  from landing.sitemap_snapshot
  union all
  select null, site, taken_at, run_id, url_count, null, added_count, removed_count, null,
    null, null, null, null, reason
  from landing.sitemap_held
) reading
where cast(:site as text) is null or site = :site
order by taken_at desc, id desc nulls first
limit :limit
