-- Lists what is known of each quota of a property.
-- Returns: quota, remaining, as_of, blocked_until. Grain: one row per quota.
-- Leans on: ga_quota_pkey.
select quota, remaining, as_of, blocked_until from landing.ga_quota where property = :property
