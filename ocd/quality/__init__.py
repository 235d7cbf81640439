"""Say what is wrong with the data, and how much of it: one scan per table for all its rules.

For the nightly flow, and people who ask whether to trust a table. Doors: `rules.Rule` (a condition
that good data meets), `agents.RULES`, `check.check`. Flow: one read-only snapshot → one aggregate
statement per table → keys of some failing rows, for failing rules only → artifact and report.
Findings are results, not errors: a table full of faults is a successful check.
"""
