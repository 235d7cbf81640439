"""Pages that people look at: one HTML file each, nothing loaded from outside, no script.

`render` fills a room's own template inside the common frame; `charts` draws numbers as inline SVG with the
same numbers as a table beneath.
"""
