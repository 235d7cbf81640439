"""What the numbers mean: key figures with their definitions, limits and owners.

Door: `kpis.measure.measure`. Each figure is one entry in `kpis/specs/` (also reached as `docs/data/`);
the compiler turns it into SQL, the nightly rollup stores what comes out.
"""
