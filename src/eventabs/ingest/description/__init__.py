"""How an export was understood, and what looks wrong in it."""

from eventabs.ingest.description.mapping import Description, FileMapping, MappedFile, ReadRow, describe

__all__ = ["Description", "FileMapping", "MappedFile", "ReadRow", "describe"]
