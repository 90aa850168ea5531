"""Reply text -> an outcome for each user: lenient reading, grounding, vocabulary."""
