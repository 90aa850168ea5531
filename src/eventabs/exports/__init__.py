"""Files -> user logs, lazily: formats, column roles, times, durations, profiles."""

from eventabs.exports.export import Export, open_export

__all__ = ["Export", "open_export"]
