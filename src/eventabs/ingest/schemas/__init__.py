"""Schemas of known tools, a TOML file each."""

from eventabs.ingest.schemas.schema import NON_BEHAVIOR, FileSchema, SchemaChoice

__all__ = ["NON_BEHAVIOR", "FileSchema", "SchemaChoice"]
