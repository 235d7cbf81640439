"""The commands of `ocd`, by what people want: look, order work, run the system."""
