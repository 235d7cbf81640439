-- What the results of quality checks mean.
comment on table ocd.quality_result is 'What came of asking each quality rule; counts and keys, no values of rows.';
comment on column ocd.quality_result.id is 'Identity.';
comment on column ocd.quality_result.run_id is 'The run that asked.';
comment on column ocd.quality_result.checked_at is 'The instant that was looked at.';
comment on column ocd.quality_result.dataset is 'Table that was asked about.';
comment on column ocd.quality_result.rule is 'Rule that was asked.';
comment on column ocd.quality_result.rule_version is 'Fingerprint of what it said.';
comment on column ocd.quality_result.dimension is 'Side of quality that it looks at.';
comment on column ocd.quality_result.severity is 'How much a finding matters.';
comment on column ocd.quality_result.status is 'passed, failed, proven, broken or waiting.';
comment on column ocd.quality_result.is_only_new is 'Whether only rows above the highest known key were asked.';
comment on column ocd.quality_result.asked_rows is 'How many rows were asked.';
comment on column ocd.quality_result.failed_rows is 'How many of them failed.';
comment on column ocd.quality_result.share is 'Share that failed.';
comment on column ocd.quality_result.value is 'What was measured; null for rules about rows.';
comment on column ocd.quality_result.usual_low is 'Least usual number; null while too little is known.';
comment on column ocd.quality_result.usual_high is 'Largest usual number.';
comment on column ocd.quality_result.is_unusual is 'Whether the number lies outside what is usual.';
comment on column ocd.quality_result.sample_keys is 'Keys of some failing rows.';
comment on column ocd.quality_result.high_key is 'Highest key of the table at that instant.';
comment on column ocd.quality_result.took_ms is 'How long the statement took.';
comment on column ocd.quality_result.detail is 'Why a rule is broken or waiting; columns that differ.';
-- down
