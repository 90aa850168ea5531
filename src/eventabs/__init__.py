"""Turn exports of user behaviour into high-level events with an LLM."""

__version__ = "0.1.0"
