"""Look at the database itself: is it as it was meant to be, and who could do what to it?

For engineers and the Monday and Thursday audit. Doors: `rights.granted`, `rights.said`,
`rights.policies_granted`, `rights.policies_said`, and in `slow` the report on slow statements. Everything here reads; nothing is mended by itself.
"""
