"""The whole stack on one machine: `ocd up`, `make nightly`, the sample data, the small demo site.

For newcomers and laptops. Doors: `home.open_home` (settings with the embedded servers running),
`stack.Stack` (worker, beat, Flower and demo site under supervisord), `seed.seed`.
"""
