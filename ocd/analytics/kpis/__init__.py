"""Key figures as files: `specs/*.yml`, in the language of MetricFlow (dbt's semantic layer).

Doors: `files.load` reads and checks the files, `compiler.compile_query` makes SQL of them,
`measure.measure` gives every nightly figure of a period with its inputs, reason and level.
What MetricFlow itself cannot say (unit, owner, limits, reasons) stands in `config.meta`.
`:start` and `:end` in an expression are the period's edges, bound when the statement runs.
"""
