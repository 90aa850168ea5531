"""User logs -> batches -> messages: compaction, token counts, packing, templates."""
