"""Say what is wrong with the data, and how much of it; remember it; stop what depends on it.

For the nightly flow, and people who ask whether to trust a table. Doors: `files.load` (the rules, said
in `rules/*.yml`), `check.check`, `look.look` (leaves no trace),
`outside` (files and batches), `results` (history), `explain.explain`, `page.page`. Flow: one read-only
snapshot → one aggregate statement per table → keys of some failing rows, for failing rules only → results,
incidents, gates, a page. Findings are results, not errors: a table full of faults is a successful check.

Beside the rules: `profile` (what columns hold, and what moved), `suggest` (rules to accept), `completeness`
(what each hour brought), `consistency` and `bisect` (whether tables and copies agree), `cleanse` (mending).
"""
