"""Numbers of a period: one fact per (metric, scope, period), however often they are computed.

For tiles, reports and people who ask how the desk did. Door: `rollup.rollup`. Flow: figures of the
period, computed by what the entrance passes in → upsert into `metric_facts` with inputs, reason and
level. Scope is an agent, a shop, a page or a stock number, or empty for all of them together.
"""
