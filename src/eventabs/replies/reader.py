"""Turns a reply into an outcome for every part that was asked about.

The steps, cheapest first; each is taken only if the one before left a part without usable events:

1. text that is exactly an answer is read unchanged;
2. otherwise reasoning is removed (prose, fences and byte order marks are skipped anyway);
3. lines, rows and JSON objects are read one by one, in any form;
4. JSON with other punctuation is rewritten, and broken JSON is repaired piece by piece;
5. reasoning that never ended is read from its end, if it ends with a whole answer.
"""

import re
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eventabs.records import EventSource, Outcome, Part, Reply, UserLog
from eventabs.replies.claims import Aliases, most_claims
from eventabs.replies.json_answers import is_json, read_json
from eventabs.replies.labels import Labels
from eventabs.replies.lines import is_strict, read_lines, read_rows
from eventabs.replies.outcomes import Outcomes

_TAGS = r"think|thinking|thought|thoughts|reasoning|reflection|seed:think"
_OPENING = re.compile(rf"^[ \t]*(?:<(?:{_TAGS})>|\[THINK\]|◁think▷)", re.IGNORECASE | re.MULTILINE)
_CLOSING = re.compile(rf"</(?:{_TAGS})>|\[/THINK\]|◁/think▷|<\|channel\|>final<\|message\|>", re.IGNORECASE)
_CLOCK = re.compile(r"\d[:：时点]\d\d")
_END_OF_STRING = re.compile(r"""[^\n"'“”]{0,200}+["'”]\s*+[,\]})，]""")
_LONGEST_LINE = 2_000  # characters


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of a reply: an outcome for every alias that was asked about, and counts of what was ignored."""

    outcomes: dict[str, Outcome]
    unknown_aliases: int = 0  # blocks of users that are not in the batch
    repeated_users: int = 0  # further blocks of users that had one
    duplicates: int = 0  # events with the type and times of another
    copied: int = 0  # events that repeat a line of the log


class AnswerText(NamedTuple):
    """A reply without its reasoning. `unclosed`: reasoning that never ended, else ""."""

    text: str
    unclosed: str = ""


def read_reply(
    reply: Reply,
    users: Mapping[str, UserLog],
    parts: Mapping[str, Part],
    *,
    labels: Labels,
    min_grounded: float,
    source: EventSource,
    lines: Callable[[UserLog], Sequence[str]],
    named_summaries: bool = False,
) -> Reading:
    """Read a reply in any form. Never raises.

    `users` has for each alias only the behaviors of its part; events point into the whole log. `lines`
    gives the sent text of each behavior of a log, behind its time. `named_summaries`: an
    event without a summary gets the names of its behaviors.
    """
    stopped = reply.finish_reason == "stop"
    outcomes = Outcomes(users, parts, labels, min_grounded, source, lines, named_summaries, stopped)
    as_it_stands = is_strict(reply.text) or is_json(reply.text)
    answer = AnswerText(reply.text) if as_it_stands else without_reasoning(reply.text)
    aliases = Aliases({alias: most_claims(len(log.behaviors)) for alias, log in users.items()})
    outcomes.add(read_lines(answer.text, aliases))
    if not outcomes.complete:
        outcomes.add(read_rows(answer.text, aliases))
    if not outcomes.complete:
        outcomes.add(read_json(answer.text, aliases, stopped=stopped))
    if not outcomes.has_blocks and stopped and answer.unclosed:
        _add_end(outcomes, answer.unclosed, aliases)
    return Reading(
        outcomes.of_all(reply, answer.text),
        outcomes.unknown,
        outcomes.repeated,
        outcomes.duplicates,
        outcomes.copied,
    )


def without_reasoning(text: str) -> AnswerText:
    """Return the text behind the last closing tag, or before the first opening one if that is empty."""
    text = text.lstrip("\ufeff \t\r\n")
    end = _end_of_reasoning(text)
    behind = text[end:]
    opening = _OPENING.search(behind)
    answer = behind[: opening.start()] if opening else behind
    unclosed = behind[opening.end() :] if opening else ""
    if end and not answer.strip():
        first = _OPENING.search(text)
        answer = text[: first.start()] if first else ""
    return AnswerText(answer, unclosed)


def _end_of_reasoning(text: str) -> int:
    """Return the end of the last closing tag, 0 without one. A tag in an event's summary closes only open reasoning."""
    openings = [match.start() for match in _OPENING.finditer(text)]
    end = 0
    for tag in _CLOSING.finditer(text):
        is_open = bisect(openings, end - 1) < bisect(openings, tag.start())
        if is_open or not _is_in_summary(text, tag):
            end = tag.end()
    return end


def _is_in_summary(text: str, tag: re.Match[str]) -> bool:
    line = text[max(0, tag.start() - _LONGEST_LINE) : tag.start()]
    line = line[max(line.rfind("\n"), line.rfind("\r")) + 1 :]
    bar = max(line.rfind("|"), line.rfind("｜"), 0)
    return bool(_END_OF_STRING.match(text, tag.end()) or _CLOCK.search(line, 0, bar))


def _add_end(outcomes: Outcomes, reasoning: str, aliases: Aliases) -> None:
    """Take the last block of each user; earlier ones are drafts."""
    if not reasoning.rstrip("` \r\n").endswith(("##", "}", "]")):
        return
    for blocks in (read_lines(reasoning, aliases), read_json(reasoning, aliases, stopped=True)):
        outcomes.add(reversed([block for block in blocks if block.closed]))
