"""Pure numbers: no table, no clock, no room of ours.

For rooms that judge measurements. Doors: `distribution.Distribution`, `distance.ks` and `.psi`,
`expected.expected`.
"""
