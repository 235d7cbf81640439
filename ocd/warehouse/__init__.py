"""Numbers of a period: one fact per (metric, scope, period), however often they are computed.

For tiles, reports and people who ask how the agents did. Door: `rollup.rollup`. Flow: statements in
`sql/measure_*.sql`, each returning (metric, scope, value, unit, inputs, reason) → upsert into
`metric_facts`. Scope is an agent's name, or empty for all of them together.
"""
