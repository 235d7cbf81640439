"""Say what the columns of a table hold, in aggregates, and what changed since the last time.

For people who meet a table, and for whoever writes its rules. Doors: `measure.measure` (one scan and
what PostgreSQL's own statistics know already), `keep.profile` (the job: every table, kept, compared),
`drift.compare` (pure), `files.profile_file` (Parquet, CSV, JSON), `suggest.suggest` (rules to accept).
Values are told only of columns that hold no personal data, and of text only what ten rows share.
"""
