"""The calls of the report as the browser reads them: an index with figures, and chunks with prompts and replies."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from eventabs.inspection import CallFacts, CallText, ReportFacts
from eventabs.views import messages
from eventabs.views.console import one_line
from eventabs.views.report.records import packed, seconds_of, shown

MOST_BYTES: Final = 4_000_000  # of all texts, compressed
_CHUNK_CHARACTERS: Final = 600_000
_LONGEST: Final = 400_000  # characters of one text


def sent_zone(name: str) -> ZoneInfo:
    """Return the zone in which the times of calls are told: that of the run, UTC where it names none that this machine knows."""
    try:
        return ZoneInfo(name) if name else ZoneInfo("UTC")
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return ZoneInfo("UTC")


class PackedCalls:
    """The calls of a run. Texts are kept of as many as fit, of those with bad replies first."""

    def __init__(
        self,
        facts: ReportFacts,
        numbers: Mapping[str, int],
        zone: ZoneInfo,
        *,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.chunks: list[bytes] = []
        self._facts, self._numbers, self._zone = facts, numbers, zone
        self._bytes = 0
        self._place_of: dict[int, tuple[int, int]] = {}
        self._chunk = _Chunk()
        for call in sorted(facts.calls, key=lambda call: (call.usable >= call.users, call.id)):
            if self._bytes > most_bytes:
                break
            self._add(call)
        self._close_chunk()

    @property
    def left_out(self) -> int:
        """How many calls stand without their texts."""
        return len(self._facts.calls) - len(self._place_of)

    def index(self) -> dict[str, list[Any]]:
        """Return the figures of all calls, a column for each."""
        columns: dict[str, list[Any]] = defaultdict(list)
        for call in sorted(self._facts.calls, key=lambda call: call.id):
            for name, value in self._figures(call).items():
                columns[name].append(value)
        return columns

    def _figures(self, call: CallFacts) -> dict[str, Any]:
        asked = (self._numbers.get(part.user_id, -1) for part in self._facts.asked(call.id))
        chunk, place = self._place_of.get(call.id, (-1, 0))
        return {
            "id": call.id,
            "attempt": call.attempt,
            "status": call.status,
            "finish": shown(call.finish_reason),
            "users": call.users,
            "usable": call.usable,
            "prompt": call.prompt_tokens,
            "cached": call.cached_tokens,
            "completion": call.completion_tokens,
            "reasoning": round(call.reasoning_tokens),
            "tier": shown(call.tier),
            "cost": call.cost,
            "seconds": None if call.seconds is None else round(call.seconds, 1),
            "sent": seconds_of(datetime.fromtimestamp(round(call.sent_at), self._zone)),
            "who": sorted({number for number in asked if number >= 0}),
            "chunk": chunk,
            "place": place,
        }

    def _add(self, call: CallFacts) -> None:
        self._place_of[call.id] = len(self.chunks), len(self._chunk.calls)
        users = [
            (
                part.alias,
                shown(part.user_id),
                self._numbers.get(part.user_id, -1),
                messages.reason(part.outcome) if part.outcome not in ("usable", "") else part.outcome,
            )
            for part in self._facts.asked(call.id)
        ]
        self._chunk.add(self._facts.text(call.id), users)
        if self._chunk.characters > _CHUNK_CHARACTERS:
            self._close_chunk()

    def _close_chunk(self) -> None:
        if self._chunk.calls:
            self.chunks.append(packed({"texts": self._chunk.texts, "calls": self._chunk.calls}))
            self._bytes += len(self.chunks[-1])
            self._chunk = _Chunk()


class _Chunk:
    """Texts of some calls. The instructions, equal in all of them, are written once."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls: list[list[Any]] = []
        self.characters = 0
        self._numbers: dict[str, int] = {}

    def add(self, text: CallText, users: list[tuple[str, str, int, str]]) -> None:
        sent = [(message["role"], self._number(message["content"])) for message in text.messages]
        answered = [self._number(one) for one in (text.reply, text.reasoning, text.error)]
        self.calls.append([sent, *answered, users])

    def _number(self, text: str) -> int:
        if (number := self._numbers.get(text)) is None:
            number = self._numbers[text] = len(self.texts)
            self.texts.append(visible_lines(text[:_LONGEST]))
            self.characters += len(text)
        return number


def visible_lines(text: str) -> str:
    """Return a text of many lines with every control and bidi character made visible."""
    return "\n".join(one_line(line.rstrip("\r").replace("\t", "    ")) for line in text.split("\n"))
