"""Numbers of a period: one fact per (metric, scope, period), however often they are computed.

Door: `rollup.rollup`. Statements in `sql/`, each returning (metric, scope, value, unit, inputs, reason).
"""
