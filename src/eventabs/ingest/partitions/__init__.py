"""An input that is read once on a machine and divided into the rows of its shards."""

from eventabs.ingest.partitions.partition import FilesRead, Staged, Texts, staged_part

__all__ = ["FilesRead", "Staged", "Texts", "staged_part"]
