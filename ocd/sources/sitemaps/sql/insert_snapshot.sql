-- Inserts one reading of a site's sitemap. The counts of changes are null for the first one.
-- Returns: one row (id).
insert into landing.sitemap_snapshot
  (site, source_url, taken_at, run_id, previous_id, file_count, url_count, duplicate_count, bytes_read, content_sha256,
   is_lastmod_uniform, warnings, added_count, removed_count, changed_count, lastmod_only_count, not_modified_count,
   soft_404_count, hosts)
values
  (:site, :source_url, :taken_at, :run_id, :previous_id, :file_count, :url_count, :duplicate_count, :bytes_read,
   :content_sha256, :is_lastmod_uniform, cast(:warnings as jsonb), :added, :removed, :content_changed, :lastmod_only,
   :not_modified, :soft_404, :hosts)
returning id
