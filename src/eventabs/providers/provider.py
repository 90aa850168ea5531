"""The one door of this room: whatever answers requests."""

from typing import Protocol

from eventabs.records import Reply, Request


class Provider(Protocol):
    """Answers requests. Safe to use from many tasks at once."""

    async def complete(self, request: Request) -> Reply:
        """Answer one request. Raises the subclasses of EndpointError, nothing else."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and the like."""
        ...
