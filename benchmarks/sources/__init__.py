"""What reading outside sources costs, against the bare work of the same run.

`python -m benchmarks.sources` measures on servers of its own and leaves nothing behind. Figures are
ratios against a baseline of the same run; absolute times are shown and never judged.
"""
