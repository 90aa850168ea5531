"""Files -> user logs, lazily: formats, column roles, times, durations, profiles."""
