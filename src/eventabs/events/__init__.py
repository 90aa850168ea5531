"""Reply text to one outcome per part: reading, grounding, judging. The door is `reading.read_reply`."""
