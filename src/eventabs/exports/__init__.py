"""Files -> user logs, lazily: formats, column roles, times, durations, profiles."""

from eventabs.exports.export import Export, open_export
from eventabs.exports.stretches import Stretch

__all__ = ["Export", "Stretch", "open_export"]
