"""Benchmarks: one per set of figures that the documentation states; each starts its own servers."""
