-- What earlier checks left of each table: its highest key, and when every row was last asked.
-- Returns: one row per table (dataset, high_key, full_at).
-- Leans on: quality_result_dataset_idx.
select dataset, max(high_key) as high_key, max(checked_at) filter (where not is_only_new and status in ('passed', 'failed')) as full_at
from ocd.quality_result
where high_key is not null and checked_at > cast(:now as timestamptz) - interval '30 days'
group by dataset
