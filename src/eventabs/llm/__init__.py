"""Messages -> replies: the HTTP provider, the built-in rules provider, pacing."""
