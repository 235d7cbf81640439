"""Mend values that are written wrong, in the open: planned first, audited, and taken back on request.

For an engineer whom a quality rule told of spaces, spellings or doubles. Doors: `fixes.FIXES` (what may
be mended, per column), `plan.plan`, `apply.apply`, `revert.revert`; `policy` decides. Flow: plan with a
hash and masked samples → apply exactly that, in fenced batches, old and new values into
`ocd.cleansing_change` → revert, which leaves alone what was changed since.
What people wrote in messages is never touched, and records of what happened never change.
"""
