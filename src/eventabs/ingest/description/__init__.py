"""What was understood of an export, and what looks wrong there."""

from eventabs.ingest.description.mapping import Description, FileMapping, MappedFile, ReadRow, describe

__all__ = ["Description", "FileMapping", "MappedFile", "ReadRow", "describe"]
