"""The door of the room: a reply becomes an outcome for every part that was asked about.

The steps, cheapest first; each is taken only where the one before left a part without usable events:

1. text that is to the letter an answer is read as it stands;
2. otherwise reasoning is taken away (prose, fences and byte order marks fall away by themselves);
3. lines, rows and JSON objects are read one by one, in any of the forms;
4. what is left of JSON is mended piece by piece;
5. reasoning that never ended is read from its end, if it ends in a whole answer.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from eventabs.records import FailureReason, Outcome, Part, Reply, UserLog
from eventabs.replies.claims import Aliases, most_claims
from eventabs.replies.json_text import is_json, read_json
from eventabs.replies.judge import Judge
from eventabs.replies.labels import Labels
from eventabs.replies.lines import is_strict, read_lines, read_rows
from eventabs.replies.text import AnswerText, without_reasoning

_OPENINGS = re.compile(
    r"\W*(?:(?:我)?(?:很|非常|十分)?(?:抱歉|对不起|遗憾)|我?(?:无法|不能|没有办法|拒绝)"
    r"|作为(?:一[个名])?(?:AI|人工智能|语言模型)"
    r"|(?:i[’']?m|i am)(?: (?:very|so|really))? sorry|sorry\b|i apologi[sz]e|unfortunately,? i"
    r"|i (?:cannot|can[’']?t|can not|won[’']?t|will not|must decline)|(?:i[’']?m|i am) (?:unable|not able)"
    r"|as an? (?:ai|artificial|language)|i refuse)",
    re.IGNORECASE,
)


def is_refusal(text: str) -> bool:
    """Whether `text` opens as models open a refusal, in Chinese or English."""
    return _OPENINGS.match(text[:200]) is not None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply gave: an outcome for every alias that was asked about, and counts of what was ignored."""

    outcomes: dict[str, Outcome]
    unknown_aliases: int = 0  # blocks of users that are not in the batch
    repeated_users: int = 0  # blocks of users that had one before


def read_reply(
    reply: Reply,
    users: Mapping[str, UserLog],
    parts: Mapping[str, Part],
    *,
    words: Labels,
    min_grounded: float,
    source: Literal["llm", "rules"],
) -> Reading:
    """Read a reply in whatever form it came. Raises nothing, whatever the text.

    `users` holds for each alias only the behaviors of its part; events point into the whole log.
    """
    judge = Judge(users, parts, words=words, min_grounded=min_grounded, source=source)
    stopped = reply.finish_reason == "stop"
    answer = _answer(reply.text)
    aliases = Aliases({alias: most_claims(len(log.behaviors)) for alias, log in users.items()})
    judge.hear(read_lines(answer.text, aliases))
    if not judge.complete:
        judge.hear(read_rows(answer.text, aliases))
    if not judge.complete:
        judge.hear(read_json(answer.text, aliases, stopped=stopped))
    if not judge.read_anything and stopped and answer.unclosed:
        _hear_end(judge, answer.unclosed, aliases)
    outcomes = judge.outcomes(_otherwise(reply, answer, judge))
    if reply.finish_reason == "content_filter":
        outcomes = {alias: _moderated(outcome) for alias, outcome in outcomes.items()}
    return Reading(outcomes, judge.unknown, judge.repeated)


def _answer(text: str) -> AnswerText:
    return AnswerText(text) if is_strict(text) or is_json(text) else without_reasoning(text)


def _hear_end(judge: Judge, reasoning: str, aliases: Aliases) -> None:
    """Take the last block of each user: what stands before are drafts."""
    if not reasoning.rstrip("` \r\n").endswith(("##", "}", "]")):
        return
    for blocks in (read_lines(reasoning, aliases), read_json(reasoning, aliases, stopped=True)):
        judge.hear(reversed([block for block in blocks if block.closed]))


def _otherwise(reply: Reply, answer: AnswerText, judge: Judge) -> FailureReason:
    """Return why a user stands nowhere in the reply."""
    if reply.finish_reason in ("length", "interrupted") or judge.left_open:
        return "cut"
    if judge.read_anything:
        return "missing"
    if not answer.text.strip():
        return "empty"
    return "refused" if is_refusal(answer.text) else "unparsable"


def _moderated(outcome: Outcome) -> Outcome:
    return outcome if outcome.usable else replace(outcome, reason="content_filter")
