"""Quality checks: one scan per table for all its rules; findings are results, not errors.

Doors: `rules.Rule`, `agents.RULES`, `check.check`.
"""
