-- Newest snapshots whose count of URLs is not the number of URLs that stand today.
-- Returns: the keys of such rows of landing.sitemap_snapshot, one a row.
-- Leans on: sitemap_snapshot_site_idx, sitemap_url_current_idx.
select newest.id
from (select distinct on (site) id, site, url_count from landing.sitemap_snapshot order by site, id desc) newest
where newest.url_count <> (
  select count(*) from landing.sitemap_url u where u.site = newest.site and u.gone_snapshot_id is null
)
