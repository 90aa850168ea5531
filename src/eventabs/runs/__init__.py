"""The engine that drives the other rooms; ledger, checkpoint, recovery."""
