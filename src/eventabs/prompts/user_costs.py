"""What users cost in prompts, and the long form that compaction is measured against."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Protocol

from eventabs.interface_language import Language
from eventabs.prompts.compact_lines import ACTIONS, Body, Compactor, clean, identifies, without_marks
from eventabs.prompts.instructions_and_requests import PromptBuilder, expected_tokens
from eventabs.prompts.packing import BatchLimits
from eventabs.prompts.splitting import Parts, measure_parts
from eventabs.prompts.tokens import TokenCounter
from eventabs.shared_records import (
    THING,
    ActivityName,
    Behavior,
    DayKind,
    GroupUser,
    Part,
    PartSize,
    PieceCosts,
    SentenceUse,
    UserLog,
)

_BEFORE = "0"  # like a clock: a visible character before the space of a body, so that counts add up
_DURATION = " 0\n"  # like a duration, before which a body does not end its line
Counts = Callable[[Iterable[str]], list[int]]


class UserGroup(Protocol):
    """Users that follow one another, numbered from 0, with sums over their behaviors (see `ingest.UserGroup`)."""

    names: list[ActivityName]
    durations: list[int]
    days: list[DayKind]

    @property
    def users(self) -> Sequence[GroupUser]:
        """The users, in order."""

    def logs(self, numbers: Collection[int]) -> Iterator[UserLog]:
        """Yield the logs of some users."""

    def costs(self, pieces: PieceCosts) -> list[int]:
        """Add up what each user's days and behaviors cost."""

    def sentences(self) -> Iterator[SentenceUse]:
        """Yield the long forms of the behaviors without the durations at their ends, each once."""

    def lasting(self) -> Iterator[SentenceUse]:
        """Yield these durations by action, each once."""

    def stamps(self) -> list[tuple[str, int]]:
        """Return the pieces of all time stamps, each once with its count."""

    def users_of(self, names: Collection[int]) -> set[int]:
        """Return the users who have one of `names`."""

    def users_named(self, keys: Sequence[str | None]) -> set[int]:
        """Return the users whose key occurs in a text of theirs."""

    def users_back_in_time(self) -> set[int]:
        """Return the users whose wall time falls back to the day before."""


def measure_group(
    group: UserGroup, builder: PromptBuilder, limits: BatchLimits
) -> Iterator[tuple[Part, PartSize]]:
    """Yield the parts of all users."""
    whole = _parts_by_sums(group, builder, limits, users_counted_by_log(group, builder.strip))
    logs = group.logs([number for number, parts in enumerate(whole) if parts is None])
    counted = (measure_parts(log, builder, limits) for log in logs)
    return chain.from_iterable(next(counted) if parts is None else parts for parts in whole)


def measure_logs(
    groups: Iterable[UserGroup], builder: PromptBuilder, limits: BatchLimits
) -> Iterator[tuple[UserLog, Parts]]:
    """Yield every user's log and parts."""
    for group in groups:
        whole = _parts_by_sums(group, builder, limits, users_counted_by_log(group, builder.strip))
        for log, parts in zip(group.logs(range(len(whole))), whole, strict=True):
            yield log, measure_parts(log, builder, limits) if parts is None else parts


def _parts_by_sums(
    group: UserGroup, builder: PromptBuilder, limits: BatchLimits, by_log: set[int]
) -> list[Parts | None]:
    """Return the parts of each user as `measure_parts` would, None where a log has to be counted for that.

    So it is for `by_log`, users too large for a batch, and where the tokenizer's counts do not add up.
    """
    if builder.counter.adds_up:
        blocks = group.costs(_piece_costs(group, builder.compactor, builder.counter.counts))
    else:
        blocks, by_log = [], set(range(len(group.users)))
    whole: list[Parts | None] = [None] * len(group.users)
    for number, user in enumerate(group.users):
        if not user.behaviors:
            whole[number] = []
        elif number not in by_log:
            tokens = builder.header_tokens(UserLog(user.user_id, (), user.profile)) + blocks[number]
            output = expected_tokens(user.behaviors, builder.answer, builder.detail)
            size = PartSize(tokens, output, user.behaviors)
            if limits.hold(size):
                whole[number] = [(Part(user.user_id, 0, user.behaviors - 1), size)]
    return whole


def _piece_costs(group: UserGroup, compactor: Compactor, counts: Counts) -> PieceCosts:
    """Count what `Compactor.block` would cut blocks into, but for their headers."""
    bodies = [(0, 0)] * len(group.names)
    single: dict[int, list[tuple[Body, bool]]] = {}
    repeated: dict[int, Body] = {}
    for position, name in enumerate(group.names):
        body = compactor.body(name.action, name.item, name.place)
        if name.only_user is None or not body[0]:
            repeated[position] = body
        else:
            single.setdefault(name.only_user, []).append((body, name.timed))
    for position, pair in zip(repeated, _paired(counts, repeated.values()), strict=True):
        bodies[position] = pair
    return PieceCosts(
        bodies=bodies,
        single=_single_costs(single, counts),
        durations=list(_paired(counts, map(compactor.duration, group.durations))),
        clocks=counts(compactor.clocks),
        days=counts(compactor.day(*day) for day in group.days),
    )


def _paired(counts: Counts, bodies: Iterable[Body]) -> Iterator[tuple[int, int]]:
    bodies = list(bodies)
    return zip(counts(within for within, _end in bodies), counts(end for _within, end in bodies), strict=True)


def _single_costs(single: Mapping[int, Sequence[tuple[Body, bool]]], counts: Counts) -> dict[int, int]:
    """Count bodies that occur once, with a duration behind them or not, all of a user's at once.

    A few long texts are counted faster than many short ones.
    """
    before, duration = counts((_BEFORE, _DURATION))
    costs = counts(
        "".join(
            f"{_BEFORE}{body}{_DURATION}" if is_timed else f"{_BEFORE}{end}"
            for (body, end), is_timed in bodies
        )
        for bodies in single.values()
    )
    return {
        user: cost - before * len(bodies) - duration * sum(is_timed for _body, is_timed in bodies)
        for (user, bodies), cost in zip(single.items(), costs, strict=True)
    }


def users_counted_by_log(group: UserGroup, marks: Sequence[str]) -> set[int]:
    """Return the users whose tokens are not the sum of what recurs, and maybe some more, by number."""
    return (
        group.users_of({*irregular_names(group.names), *ambiguous_names(group.names, marks)})
        | group.users_named([id_key(user.user_id) for user in group.users])
        | group.users_back_in_time()
    )


def irregular_names(names: Sequence[ActivityName]) -> list[int]:
    """Return the positions of names that have a text which cleaning changes, or whose case is more than ASCII's."""
    texts = [f"|{name.action}|{name.item}|{name.place}|" for name in names]
    if _is_regular("".join(texts)):  # mostly all are, and that is soon found out
        return []
    return [position for position, text in enumerate(texts) if not _is_regular(text)]


def _is_regular(texts: str) -> bool:
    is_clean = texts.isprintable() and not any(sign in texts for sign in ("  ", "| ", " |"))
    return is_clean and (texts.isascii() or texts.casefold().encode() == texts.encode().lower())


def id_key(user_id: str) -> str | None:
    """Return what a log holds in lower case if the user's id is to be masked in it; None: no id needs that."""
    name = clean(user_id)
    if not identifies(name):
        return None
    return "" if "|" in name else name.casefold()  # every text holds ""


def ambiguous_names(names: Sequence[ActivityName], marks: Sequence[str]) -> list[int]:
    """Return the positions of names that have a text which is also another one without its marks."""
    texts = {text for name in names for text in name[1:3]}
    bare = {text: without_marks(clean(text), marks) for text in texts if any(mark in text for mark in marks)}
    if not bare:  # mostly
        return []
    uses = Counter([*bare.values(), *texts.difference(bare)])
    return [
        position
        for position, name in enumerate(names)
        if any(uses[bare.get(text, text)] > 1 for text in name[1:3])
    ]


_ACTIONS = ("", THING, "visit", *ACTIONS)
_CHINESE = "{} {} 在{}停留 使用{} 浏览{} 点击{} 搜索{} 对比{} 将{}加入购物车 收藏{} 购买{}"
_ENGLISH = (
    "{}; {}; stayed at {}; used {}; viewed {}; clicked {}; searched for {}; compared {}; put {} into the cart; saved {}; "
    "bought {}"
)
_SENTENCES: dict[Language, dict[str, str]] = {  # {} is the item
    "zh": dict(zip(_ACTIONS, _CHINESE.split(), strict=True)),
    "en": dict(zip(_ACTIONS, _ENGLISH.split("; "), strict=True)),
}
_MINUTE = 60
_IN_SECONDS = "browse"
_WITHOUT_DURATION = frozenset(ACTIONS) - {"use", "browse"}


def sentence(behavior: Behavior, language: Language = "zh") -> str:
    """Return the export's own sentence, or for a structured row an equivalent one, such as 浏览A 在B上 292秒."""
    if behavior.text:
        return behavior.text
    action = behavior.action
    what = _SENTENCES[language].get(action, action + " {}").replace("{}", behavior.item, 1)
    if language == "en":
        where = f"on {behavior.place}" if behavior.place else ""
    else:
        where = f"在{behavior.place}" if behavior.place else ""
        where += "上" if where and action == _IN_SECONDS else ""
    return " ".join(filter(None, (what, where, _how_long(behavior, language))))


def _how_long(behavior: Behavior, language: Language) -> str:
    action, seconds = behavior.action, behavior.duration
    if seconds is None or action in _WITHOUT_DURATION:
        return ""
    hours, minutes = divmod(seconds // _MINUTE, 60)
    if language == "en":
        lasting = [f"{hours} hours"] * (hours > 0) + [f"{minutes} minutes"] * (minutes > 0)
        return " ".join(["for", *(lasting or [f"{seconds} seconds"])])
    if action == _IN_SECONDS or seconds < _MINUTE:
        return f"{seconds}秒"
    return (f"{hours}小时" if hours else "") + (f"{minutes}分钟" if minutes else "")


def long_pieces(log: UserLog, language: Language = "zh") -> Sequence[str]:
    """Return a user's lines `YYYY-MM-DD HH:MM:SS sentence` in pieces for TokenCounter.total."""
    pieces: list[str] = []
    for behavior in log.behaviors:
        stamp = behavior.start.isoformat(" ")
        pieces += (stamp[:10], stamp[10:16], stamp[16:19], *_behind_stamp(behavior, language))
    if pieces:
        pieces[-1] = pieces[-1].removesuffix("\n")
    return pieces


def long_tokens(group: UserGroup, counter: TokenCounter, language: Language) -> int:
    """Count the tokens of the long form of all users of a group."""
    if not counter.adds_up:
        logs = group.logs(range(len(group.users)))
        return sum(counter.total(long_pieces(log, language)) for log in logs)
    pieces: Counter[str] = Counter(dict(group.stamps()))
    for behavior, uses, last_uses, lasts in group.sentences():
        *words, end = _behind_stamp(behavior, language)
        bare = uses if lasts and behavior.action not in _WITHOUT_DURATION else last_uses  # without a line end
        pieces.update(dict.fromkeys(words, uses))
        pieces.update({end: uses - bare, end.removesuffix("\n"): bare})
    for behavior, uses, last_uses, _lasts in group.lasting():
        if how_long := _how_long(behavior, language):
            pieces.update({f" {how_long}\n": uses - last_uses, f" {how_long}": last_uses})
    counts = zip(counter.counts(list(pieces)), pieces.values(), strict=True)
    return sum(tokens * count for tokens, count in counts)


def _behind_stamp(behavior: Behavior, language: Language) -> tuple[str, ...]:
    text = sentence(behavior, language)
    # the last word is mostly a duration, and the text before it recurs
    words, _, last = text.rpartition(" ")
    return (f" {words}", f" {last}\n") if words[-1:].strip() else (f" {text}\n",)
