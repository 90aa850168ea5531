"""The Chinese catalogue. English needs none: its words stand in the code."""
