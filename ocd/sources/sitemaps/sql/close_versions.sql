-- Closes the standing versions of these URLs: removed ones, and changed ones before their new version.
-- Returns: nothing.
-- Leans on: sitemap_url_current_idx (site, loc).
update landing.sitemap_url
set gone_snapshot_id = :snapshot
where site = :site and gone_snapshot_id is null and loc = any(:locs)
