"""Pages: the report of a run, and what other pages are rendered with."""
