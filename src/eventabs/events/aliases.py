"""Which user a reply means: U1, u1, 用户U1, **U1**, User 1."""

import re
from collections.abc import Mapping

from eventabs.events.claims import Block
from eventabs.events.cleaning import fold

NAME = r"(?:(?:用户|users?)[\s_:#-]{0,3}+(?:u[\s_-]{0,2}+)?|u[\s_-]{0,2}+)(?P<number>[1-9]\d{0,6})"
_DECORATION = " \t\r\n-•*_`#:<>[]()\"'.,"
_NAME = re.compile(NAME, re.IGNORECASE)
_LONGEST = 40


class Aliases:
    """The users of a batch as a reply may write them; `most_claims` of each are kept."""

    def __init__(self, most_claims: Mapping[str, int]) -> None:
        self._most_claims = most_claims
        self._known = {alias.casefold(): alias for alias in most_claims}
        self.only = next(iter(self._known.values())) if len(self._known) == 1 else None

    def find(self, text: object) -> str | None:
        """Return the alias that `text` means, "" if the batch has no such user, None if it names nobody."""
        if isinstance(text, int) and not isinstance(text, bool):
            return self._known.get(f"u{text}", "")
        if not isinstance(text, str) or len(text) > _LONGEST:
            return None
        name = fold(text).strip(_DECORATION)
        match = _NAME.fullmatch(name)
        return self.numbered(match["number"]) if match else None

    def numbered(self, number: str) -> str:
        """Return the alias with that number, "" if the batch has none."""
        return self._known.get(f"u{number}", "")

    def block(self, alias: str, *, closed: bool = False) -> Block:
        """Return a new block for a user, "" for one that the batch does not have: of those nothing is kept."""
        return Block(alias, closed, most=self._most_claims.get(alias, 0))
