"""Pure numbers: no table, no clock, no room of ours.

For rooms that judge measurements. Doors: `bounds.seasonal`, `expected.expected`,
`distribution.Distribution`, `distance.ks` and `.psi`.
"""
