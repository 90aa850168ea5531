"""Lines read back to behaviors, slowly and obviously, and behaviors to try that with."""

import re
from collections.abc import Mapping
from datetime import datetime

from hypothesis import strategies as st

from eventabs.interface_language import Language
from eventabs.prompts.compact_lines import WORDS, Compactor, clean, default_vocabulary, shown
from eventabs.prompts.instructions_and_requests import Instructions, PromptBuilder
from eventabs.prompts.tokens import TokenCounter
from eventabs.setting_choices import Compaction
from eventabs.shared_records import THING, Behavior

COUNTER = TokenCounter()
DURATION = re.compile(r"(.*?) ?((?<![^ ])(?:\d+h(?:\d+m)?|\d+m|\d+s))", re.ASCII)
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
OWN_WORD = re.compile(r'([^":·][^":]*):(?: (.*))?')


def expand(text: str, language: Language) -> list[tuple[str, ...]]:
    """Read a block with numbers back: (day, clock, action, item, place, duration) of each line; slow and obvious."""
    header, *lines = text.rstrip("\n").split("\n")
    assert header.startswith("## ")
    year = day = ""
    rows: list[tuple[str, ...]] = []
    for line in lines:
        if line.startswith("# "):
            date = line.split(" ")[1]
            year, day = (date[:4], date[5:]) if len(date) == 10 else (year, date)
            continue
        number, clock, rest = line.split(" ", 2)
        assert int(number) == len(rows) + 1
        found = DURATION.fullmatch(rest)
        body, duration = found.groups() if found else (rest, "")
        rows.append((f"{year}-{day}", clock, *read_body(body, language), duration))
    return rows


def what_comes_back(behaviors: list[Behavior]) -> list[tuple[str, ...]]:
    """Return what a block says of behaviors, as `expand` gives it back."""
    return [
        (
            f"{b.start:%Y-%m-%d}",
            f"{b.start:%H:%M}",
            *seen(
                THING if b.action and b.in_own_words else b.action,
                shown(b.item),
                shown(b.place),
            ),
            "" if b.duration is None else Compactor("en").duration(b.duration).strip(),
        )
        for b in behaviors
    ]


def seen(action: str, item: str, place: str) -> tuple[str, str, str]:
    """Return what a line tells apart: of a visit and of a thing the words alone."""
    return (THING, f"{item} {place}".strip(), "") if action in {"visit", THING} else (action, item, place)


def read_body(body: str, language: Language) -> tuple[str, str, str]:
    actions = {verb: action for action, verb in WORDS[language]["verbs"].items()}
    if body.startswith("·"):
        return ("", *read_object(body[1:], place_allowed=False))
    word, _, rest = body.partition(" ")
    if word in actions:
        return (actions[word], *read_object(rest, place_allowed=word != WORDS[language]["verbs"]["use"]))
    verb = word.partition("_")[0]
    if "_" in word and verb in actions:
        return (actions[verb], *read_object(body, place_allowed=verb != WORDS[language]["verbs"]["use"]))
    if found := OWN_WORD.fullmatch(body):
        return (found[1], *read_object(found[2] or "", place_allowed=True))
    if (found := QUOTED.match(body)) and body[found.end() :].startswith(":"):
        return (unquote(found), *read_object(body[found.end() + 2 :], place_allowed=True))
    return seen(THING, *read_object(body, place_allowed=False))


def read_object(text: str, *, place_allowed: bool) -> tuple[str, str]:
    if found := QUOTED.match(text):
        second = QUOTED.fullmatch(text[found.end() + 1 :])
        return unquote(found), unquote(second) if second else ""
    if place_allowed and " " in text:
        item, _, place = text.rpartition(" ")
        return item, place
    return text, ""


def unquote(found: re.Match[str]) -> str:
    return re.sub(r"\\(.)", r"\1", found[1])


def at(clock: str, action: str, item: str, place: str = "", duration: int | None = None) -> Behavior:
    return Behavior(datetime.fromisoformat(f"2026-01-01T{clock}"), action, item, place, duration)


SCRAPS = [
    *("看", "搜", "对比", "对比_", "view", "use", "·", '"', "\\", ":", ": ", " ", "  ", "5m", "1h", "3s"),
    *("##", "#", ">", "12 10:00"),
]
TRICKY = st.lists(
    st.sampled_from([*SCRAPS, "|", "=", "宝马", "WEY", "7", "_", "\n", "\u202e", "14:30"]), max_size=6
).map("".join)
FIELDS = st.one_of(TRICKY, st.text(max_size=8), TRICKY.map(lambda text: text * 40))
ACTIONS = st.one_of(
    st.sampled_from(["visit", THING, "", *WORDS["zh"]["verbs"]]),
    TRICKY.map(clean).filter(lambda word: word and word not in {"visit", THING, *WORDS["zh"]["verbs"]}),
)
BEHAVIORS = st.lists(
    st.builds(
        Behavior,
        st.datetimes(
            datetime.fromisoformat("2024-01-01T00:00"), datetime.fromisoformat("2027-01-01T00:00")
        ).map(lambda t: t.replace(microsecond=0)),
        ACTIONS,
        FIELDS,
        FIELDS,
        st.none() | st.integers(0, 400_000),
        text=st.sampled_from(["", "own words"]),
    ).map(lambda behavior: behavior._replace(text=behavior.item if behavior.text else "")),
    min_size=1,
    max_size=8,
).map(lambda behaviors: sorted(behaviors, key=lambda b: b.start))


def make_builder(
    level: Compaction, legend: Mapping[str, str] | None = None, counter: TokenCounter = COUNTER
) -> PromptBuilder:
    instructions = Instructions(language="zh", vocabulary=default_vocabulary("zh"), level=level)
    return PromptBuilder(instructions, counter=counter, legend=legend)
