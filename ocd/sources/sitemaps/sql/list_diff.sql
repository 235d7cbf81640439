-- What changed in a site between two of its readings, whatever happened between them.
-- Returns: one row per URL (loc, kind: added, removed, content_changed), by loc.
-- Leans on: sitemap_url_current_idx (site, loc) for what still stands.
with version as (
  select loc, fingerprint, first_snapshot_id, coalesce(gone_snapshot_id, 9223372036854775807) as gone_id
  from landing.sitemap_url where site = :site
), earlier as (
  select loc, fingerprint from version where first_snapshot_id <= :before and gone_id > :before
), later as (
  select loc, fingerprint from version where first_snapshot_id <= :after and gone_id > :after
)
select loc,
  case when earlier.loc is null then 'added' when later.loc is null then 'removed' else 'content_changed' end as kind
from earlier full join later using (loc)
where earlier.fingerprint is distinct from later.fingerprint
order by loc
