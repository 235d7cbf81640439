-- Inserts the files of a reading; run with many parameter sets at once.
-- Returns: nothing. Grain: one file of one reading.
insert into landing.sitemap_file
  (snapshot_id, loc, path_key, url_count, sha256, bytes_wire, bytes_plain, is_not_modified, etag, last_modified)
values
  (:snapshot, :loc, :path_key, :url_count, :sha256, :bytes_wire, :bytes_plain, :is_not_modified, :etag, :last_modified)
