"""What is true of the data: one frozen `Dataset` per table, said once.

Retention, purge, backup, quality, docs and tests iterate over `registry.DATASETS` instead of
naming tables. Doors: `facts.Dataset`, `registry.DATASETS`, `registry.dataset(name)`.
"""
