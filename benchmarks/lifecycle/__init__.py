"""What safety costs: purge and backup against the plain statements that do the same without proof."""
