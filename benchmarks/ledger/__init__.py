"""What the ledger costs: per job of a worker, per sweep of a long ledger, and when workers compete.

`python -m benchmarks.ledger` measures on servers of its own and leaves nothing behind. Figures are ratios
against a baseline of the same run; absolute times are shown and never judged.
"""
