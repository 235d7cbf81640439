-- Inserts a new version of a URL; run with many parameter sets at once.
-- Returns: nothing. Grain: one version of one URL, lastmod as it was claimed first.
insert into landing.sitemap_url
  (site, loc, fingerprint, lastmod_raw, lastmod_at, image_loc, image_title, first_snapshot_id)
values (:site, :loc, :fingerprint, :lastmod_raw, :lastmod_at, :image_loc, :image_title, :snapshot)
