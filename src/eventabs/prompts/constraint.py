"""What an answer may say, for servers that enforce it: a grammar or a JSON schema, made for one batch.

Grammars are in GBNF, which llama.cpp takes and so does XGrammar, the usual backend of vLLM and SGLang:
https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md. Times are bound to their form and not to
those of the log: an answer that can name no other time would always be grounded, and that would prove nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

from eventabs.choices import Detail
from eventabs.prompts.expected_output import Expectation
from eventabs.records import Behavior, JsonSchemaFormat, Vocabulary

Days = Mapping[date, int]  # most events that begin on each day, in order

MOST_CHARACTERS: Final = 80  # words of a summary; the prompt asks for 4
MOST_LETTERS: Final = 12  # of a word of a type that is not in the vocabulary
MOST_WORDS: Final = 3
_TIMES_EXPECTED: Final = 4
_LEAST: Final = 12  # events a day, if it has as many behaviors

# a summary's characters: no blanks, bars, control, bidi or invisible characters
_SIGN: Final = (
    r"[^\x00-\x20\x7c\x7f-\xa0\xa6\xad\u061c\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u2502\u3000"
    r"\ufeff\uff5c\ufff9-\uffff]"
)
# of a type that is not in the vocabulary; as characters, since patterns in JSON know no other escapes
_LETTER: Final = (
    "[a-zA-Z\u00c0-\u024f\u0370-\u05ff\u0620-\u0fff\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3]"
)
_WORD: Final = f"{_LETTER}{{1,{MOST_LETTERS}}}"
_CLOCK: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_MONTH_DAY: Final = r"(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_SHARED: Final = rf"""clock ::= ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9]
monthday ::= ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])
span ::= clock ("-" (monthday " ")? clock)?
summary ::= sign (" "? sign){{0,{MOST_CHARACTERS - 1}}}
sign ::= {_SIGN}
words ::= word (" " word){{0,{MOST_WORDS - 1}}}
word ::= letter{{1,{MOST_LETTERS}}}
letter ::= {_LETTER}
"""


def most_events(behaviors: Sequence[Behavior], expected: Expectation, detail: Detail) -> dict[date, int]:
    """Return the most events that may begin on each day: a few times the expected number, none without a behavior.

    Without a bound a small model repeats itself until its tokens end.
    """
    by_day: dict[date, list[Behavior]] = {}
    for behavior in behaviors:
        by_day.setdefault(behavior.start.date(), []).append(behavior)
    return {
        day: min(len(those), max(_LEAST, _TIMES_EXPECTED * expected.events(those, detail)))
        for day, those in by_day.items()
    }


def grammar(users: Mapping[str, Days], vocabulary: Vocabulary, *, with_summaries: bool = True) -> str:
    """Return the GBNF of answers in lines: all users by alias, in order, each with at least one event."""
    numbers = range(1, len(users) + 1)
    most = sorted({count for days in users.values() for count in days.values()})
    summary = ' (" | " summary)?' if with_summaries else ""
    return "\n".join(
        [
            f'root ::= {" ".join(f"u{number}" for number in numbers)} "##" "\\n"?',
            *(
                rule
                for number, user in zip(numbers, users.items(), strict=True)
                for rule in _user(number, *user)
            ),
            *(f"most{count} ::= event{{1,{count}}}" for count in most),
            f'event ::= span " " type{summary} "\\n"',
            *_types(vocabulary),
            _SHARED,
        ]
    )


def _user(number: int, alias: str, days: Days) -> Iterator[str]:
    """Yield the rules of a user: `a` still needs an event, `z` has one; each day is optional.

    The first day of an answer has its year, a later one only if the log has several years.
    """
    yield f'u{number} ::= {_literal(f"## {alias}")} "\\n" u{number}a1'
    last = len(days)
    has_years = len({day.year for day in days}) > 1
    for position, (day, most) in enumerate(days.items(), 1):
        name = f"u{number}d{position}"
        yield f'{name} ::= "{day:%m-%d}\\n" most{most}'
        needing = f'"# {day:%Y-}" {name}'
        having = f'("# " "{day:%Y-}"? {name})?' if has_years else f'("# " {name})?'
        if position < last:
            having += f" u{number}z{position + 1}"
            needing += f" u{number}z{position + 1} | u{number}a{position + 1}"
        yield f"u{number}a{position} ::= {needing}"
        if position > 1:
            yield f"u{number}z{position} ::= {having}"


def _types(vocabulary: Vocabulary) -> Iterator[str]:
    names = [_literal(kind.name) for kind in vocabulary.types]
    marks = [_literal(category.mark) for category in vocabulary.categories if category.mark]
    free = ["words"] if vocabulary.open or not names else []
    mark = f" ({' | '.join(marks)})?" if marks else ""
    yield f"type ::= ({' | '.join([*names, *free])}){mark}"


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def schema(
    users: Mapping[str, Days], vocabulary: Vocabulary, *, with_summaries: bool = True
) -> JsonSchemaFormat:
    """Return the `response_format` of answers by schema: all users by alias, in order, each with at least one event."""
    document = _list([_user_schema(alias, days, with_summaries) for alias, days in users.items()])
    types: list[dict[str, Any]] = (
        [{"enum": [kind.name for kind in vocabulary.types]}] if vocabulary.types else []
    )
    if vocabulary.open or not types:
        types.append({"type": "string", "pattern": f"^{_WORD}( {_WORD}){{0,{MOST_WORDS - 1}}}$"})
    definitions = {
        "end": {"type": "string", "pattern": f"^{_MONTH_DAY} {_CLOCK}$"},
        "type": types[0] if len(types) == 1 else {"anyOf": types},
        "category": {"enum": [category.name for category in vocabulary.categories]},
        "summary": {"type": "string", "maxLength": MOST_CHARACTERS},
    }
    if not with_summaries:
        del definitions["summary"]
    root = {**_object(users=document), "$defs": definitions}
    return {"type": "json_schema", "json_schema": {"name": "events", "strict": True, "schema": root}}


def _user_schema(alias: str, days: Days, with_summaries: bool) -> dict[str, Any]:
    named = "|".join(dict.fromkeys(f"{day:%m-%d}" for day in days))
    start = {"type": "string", "pattern": f"^({named}) {_CLOCK}$"}
    others = ["end", "type", "category", "summary"][: 4 if with_summaries else 3]
    row = _list([start, *({"$ref": f"#/$defs/{name}"} for name in others)])
    events = {"type": "array", "items": row, "minItems": 1, "maxItems": sum(days.values())}
    return _object(u={"enum": [alias]}, events=events)


def _list(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "array", "prefixItems": [*items], "minItems": len(items), "maxItems": len(items)}


def _object(**properties: Any) -> dict[str, Any]:  # noqa: ANN401  any part of a schema
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }
