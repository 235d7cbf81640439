"""Pure numbers: no table, no clock, no room of ours.

For rooms that judge measurements. Door: `bounds.seasonal`.
"""
