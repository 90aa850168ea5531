"""The ways in which models write an answer otherwise than asked, and plain damage, each as a change of a good answer.

Each kind takes an answer and a random source and returns the text as it might have come.
"""

import re
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from answer_samples import FORMS, VOCABULARY, Form, Sample
from eventabs.records import FinishReason
from json_mutations import (
    Mutate,
    cells_in_other_order,
    event_a_line,
    forgotten_comma,
    further_fields,
    many_habits,
    mixed_quotes,
    other_keys,
    spelled_stamps,
    styled,
    wrapped,
)

_JSON: tuple[Form, ...] = ("json", "schema")
_LINES: tuple[Form, ...] = ("lines",)
_KNOWN = frozenset(kind.name for kind in VOCABULARY.types)
_ROWS: tuple[Form, ...] = ("pipes",)


class Kind(NamedTuple):
    """A kind of mutation: to which forms it applies, and the share of users that are to be read exactly.

    `finish_reason` is what the endpoint says with the text. `damages`: events may lose their words. `dresses`: prose,
    thoughts and the like may stand around the text as well. `summaries`: one of them is in the answer.
    """

    name: str
    forms: tuple[Form, ...]
    mutate: Mutate
    least: float = 1.0
    finish_reason: FinishReason = "stop"
    damages: bool = False
    dresses: bool = True
    summaries: tuple[str, ...] = ()


# lines and rows, written otherwise

_Change = Callable[[str, Form, Random], str]


def _on_text(*changes: _Change) -> Mutate:
    """Return what makes changes one after another, each of several in one of two cases."""

    def mutate(sample: Sample, random: Random) -> str:
        text = sample.text
        for change in changes:
            if len(changes) == 1 or random.random() < 0.5:
                text = change(text, sample.form, random)
        return text

    return mutate


def _every_event(text: str, write: Callable[[re.Match[str]], str]) -> str:
    return re.sub(
        r"^(?P<times>\d\d:\d\d\S*(?: (?:[-–—～－] |to )?\d\d[:：]\d\d\S*)?) (?P<words>.*)$",
        write,
        text,
        flags=re.MULTILINE,
    )


def _full_width(text: str, form: Form, random: Random) -> str:
    wide = {":": "：", "|": "｜", "!": "！", "-": random.choice("－～—–")}
    chosen = {sign: wide[sign] for sign in random.sample(list(wide), random.randint(1, 4))}
    if form == "pipes":
        return text.replace("|", "｜")

    def write(match: re.Match[str]) -> str:
        kind, bar, summary = match["words"].partition(" | ")
        signs = str.maketrans(chosen)
        return f"{match['times'].translate(signs)} {kind.translate(signs)}{bar.translate(signs)}{summary}"

    return _every_event(text, write)


def _decorated(text: str, _form: Form, random: Random) -> str:
    style = random.choice(
        (
            "- {} {}",
            "* {} {}",
            "1. {} {}",
            "{}: {}",
            "**{}** {}",
            "[{}] {}",
            "- **{}** {}",
            "`{}` {}",
            "  {} {}",
        )
    )
    return _every_event(text, lambda match: style.format(match["times"], match["words"]))


def _spelled_times(text: str, _form: Form, random: Random) -> str:
    style = random.choice(("spaces", "seconds", "to", "at"))

    def write(match: re.Match[str]) -> str:
        times = match["times"]
        if style == "spaces":
            times = re.sub(r"(?<=:\d\d)-", " - ", times)
        elif style == "seconds":
            times = re.sub(r"\d\d:\d\d", r"\g<0>:00", times)
        elif style == "to":
            times = re.sub(r"(?<=:\d\d)-", random.choice(("至", "到", " to ", "->")), times)
        return f"{times} {match['words']}"

    return _every_event(text, write)


def _days(text: str, _form: Form, random: Random) -> str:
    style = random.choice(("{}", "## {}", "**{}**", "{}:", "# {} 周五", "# {} (Fri)"))
    chinese = random.random() < 0.3

    def write(match: re.Match[str]) -> str:
        year, month, day = match["year"], match["month"], match["day"]
        date = f"{year or ''}{month}-{day}"
        if chinese:
            date = (f"{year[:4]}年" if year else "") + f"{int(month)}月{int(day)}日"
        return style.format(date)

    return re.sub(r"^# (?P<year>\d{4}-)?(?P<month>\d\d)-(?P<day>\d\d)$", write, text, flags=re.MULTILINE)


def _aliases(text: str, form: Form, random: Random) -> str:
    style = random.choice(
        (
            "# U{}",
            "### U{}",
            "U{}",
            "U{}:",
            "**U{}**",
            "## 用户U{}",
            "用户{}：",
            "## User {}",
            "## u{}",
            "## U{} 40岁 男",
        )
    )
    if form == "pipes":
        style = random.choice(("u{}", "用户{}", "| U{}", " U{} ", "User {}"))
        return re.sub(r"^U(\d+)", lambda match: style.format(match[1]), text, flags=re.MULTILINE)
    return re.sub(r"^## U(\d+)$", lambda match: style.format(match[1]), text, flags=re.MULTILINE)


def _table(text: str, form: Form, random: Random) -> str:
    if form == "pipes":
        body = re.sub(r"^(U.*)$", r"| \1 |", text, flags=re.MULTILINE)
        return f"| user | start | end | type | category | summary |\n|---|---|---|---|---|---|\n{body}"
    number = iter(range(1, 1_000)) if random.random() < 0.3 else None

    def write(match: re.Match[str]) -> str:
        kind, _, summary = match["words"].partition(" | ")
        cells = [match["times"], kind, summary]
        return f"| {' | '.join([str(next(number)), *cells] if number else cells)} |"

    return _every_event(text, write)


def _no_bars(text: str, form: Form, random: Random) -> str:
    """Part the cells of rows by commas or tabs, type and summary of the vocabulary's types by other signs."""
    if form == "pipes":
        separator = random.choice(",\t")
        rows = (["" if cell == "##" else cell for cell in line.split("|")] for line in text.splitlines())
        lines = (separator.join(f'"{cell}"' if separator in cell else cell for cell in row) for row in rows)
        return "\n".join(lines) + "##\n"
    sign = random.choice((" - {}", "：{}", ": {}", "，{}", "（{}）", " ({})"))

    def write(match: re.Match[str]) -> str:
        kind, _, summary = match["words"].partition(" | ")
        if kind.rstrip("!") not in _KNOWN or not summary or set("()（）《》") & set(summary):
            return match[0]
        return f"{match['times']} {kind}{sign.format(summary)}"

    return _every_event(text, write)


def _days_in_headers(text: str, _form: Form, _random: Random) -> str:
    return re.sub(r"^(## U\d+)\n# ", r"\1 ", text, flags=re.MULTILINE)


def _no_end(text: str, _form: Form, random: Random) -> str:
    return text.rstrip("\n").removesuffix("##") + random.choice(("", "\n", "```\n"))


def _other_end(text: str, _form: Form, random: Random) -> str:
    end = random.choice(("**##**", "###", "## end", "## 结束", "`##`", "\\##", "##\n\n以上。"))
    return text.rstrip("\n").removesuffix("##") + end


# around and within any answer


def dressed(text: str, random: Random) -> str:
    """Put around an answer what models put around answers."""
    thought = "Let me see: U1 ate at 10:00.\nThen U2.\n"
    return random.choice(
        (
            f"```json\n{text}```",
            f"```\n{text}\n```\nLet me know if you need more.",
            f"Here are the events:\n\n{text}",
            f"{text}\n希望对您有帮助。",
            f"<think>\n{thought}</think>\n\n{text}",
            f"<think>{thought}</think>{text}",
            f"{thought}</think>\n{text}",
            f"<thinking>\n## U1\n# 01-01\n10:00 x\n</thinking>\n{text}",
            "\ufeff" + text,
            text.replace("\n", "\r\n"),
            text.replace("\n", "\n\n"),
            text.replace("\n", "  \n"),
        )
    )


def _as_asked(sample: Sample, _random: Random) -> str:
    return sample.text


def _cut(sample: Sample, random: Random) -> str:
    return sample.text[: random.randrange(len(sample.text))]


def _damaged(sample: Sample, random: Random) -> str:
    """Delete, double or exchange one to three of the characters that hold the answer together."""
    text = sample.text
    for _ in range(random.randint(1, 3)):
        places = [match.start() for match in re.finditer(r"[\[\]{}\"',|#\n]", text)]
        if not places:
            return text
        at = random.choice(places)
        text = text[:at] + random.choice(("", text[at] * 2, random.choice("[]{}\"',|#\n"))) + text[at + 1 :]
    return text


_QUOTING = ('看了"三体"', '"三体"上', "第一行\n第二行", 'a "b" c', "\t")


def _kinds() -> Iterator[Kind]:
    yield Kind("as asked", FORMS, _as_asked, dresses=False)
    yield Kind("single quotes", _JSON, styled(open_quote="'", close_quote="'"))
    yield Kind("curly quotes", _JSON, styled(open_quote="“", close_quote="”"))
    yield Kind("single quotes, trailing commas, bare keys", _JSON, mixed_quotes)
    yield Kind("trailing commas", _JSON, styled(trailing=0.3))
    yield Kind("bare keys", _JSON, styled(bare_keys=True))
    yield Kind("full-width colons and commas", _JSON, styled(colon="：", comma="，"))
    yield Kind("tuples and None", _JSON, styled(open_quote="'", close_quote="'", tuples=True, none=True))
    yield Kind("a line a value", _JSON, styled(breaks=True))
    yield Kind("fields before and behind the events", _JSON, further_fields)
    yield Kind("a comma forgotten", _JSON, forgotten_comma)
    yield Kind("quotes and line breaks not escaped", _JSON, styled(raw=True), summaries=_QUOTING)
    yield Kind("keys by synonym, fields in any order", _JSON, other_keys)
    yield Kind("wrapped, by alias, by day, an array an event", _JSON, wrapped)
    yield Kind("an object a line for each event", _JSON, event_a_line, dresses=False)
    yield Kind("several habits of JSON at once", _JSON, many_habits)
    yield Kind("stamps with year, T, seconds", (*_JSON, *_ROWS), spelled_stamps)
    yield Kind("cells in another order", (*_JSON, *_ROWS), cells_in_other_order)
    yield Kind("full-width punctuation", (*_LINES, *_ROWS), _on_text(_full_width))
    yield Kind("bullets, numbers, bold", _LINES, _on_text(_decorated))
    yield Kind("times spelled otherwise", _LINES, _on_text(_spelled_times))
    yield Kind("day headers of other kinds", _LINES, _on_text(_days))
    yield Kind("aliases of other kinds", (*_LINES, *_ROWS), _on_text(_aliases))
    yield Kind("commas, tabs, dashes or brackets for bars", (*_LINES, *_ROWS), _on_text(_no_bars))
    yield Kind("the first day in the user's header", _LINES, _on_text(_days_in_headers))
    yield Kind("tables", (*_LINES, *_ROWS), _on_text(_table))
    yield Kind("no ## at the end", (*_LINES, *_ROWS), _on_text(_no_end), dresses=False)
    yield Kind(
        "several of these at once",
        _LINES,
        _on_text(_no_end, _spelled_times, _days, _aliases, _full_width, _decorated),
        dresses=False,
    )
    yield Kind("another sign at the end", (*_LINES, *_ROWS), _on_text(_other_end))
    yield Kind(
        "fences, prose, thoughts, line ends",
        FORMS,
        lambda sample, random: dressed(sample.text, random),
        dresses=False,
    )
    yield Kind(
        "a summary that echoes </think>", FORMS, _as_asked, summaries=("搜索 </think>", "</think>标签")
    )
    yield Kind("cut, and said so", FORMS, _cut, 0.0, "length", dresses=False)
    yield Kind("cut, and not said", FORMS, _cut, 0.0, damages=True, dresses=False)
    yield Kind(
        "one to three signs lost, doubled or exchanged", FORMS, _damaged, 0.0, damages=True, dresses=False
    )


KINDS = tuple(_kinds())
