"""What is masked in texts that an endpoint sends: keys in every form, and nothing else."""

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.providers.openai.endpoint_and_wire import MASK, redact, redacted_line

LONG_KEY = "sk-proj-0123456789/abc=="


def test_a_short_secret_is_masked_only_where_it_stands_alone() -> None:
    assert redact("user 42 of 421", ["42"]) == f"user {MASK} of 421"


def test_a_secret_inside_a_longer_one_leaves_no_rest() -> None:
    assert redact("token-abcdef-xyz", ["abcdef", "token-abcdef-xyz"]) == MASK


def test_foreign_text_becomes_one_short_line() -> None:
    line = redacted_line("a\r\n\tb\x1b[31m \u202ec\u2028d" + " long" * 100, [])
    assert line.startswith("a b [31m c d long")
    assert len(line) == 300
    assert line.endswith("…")


def test_a_key_is_masked_before_the_line_is_cut() -> None:
    line = redacted_line("x" * 290 + " " + LONG_KEY, [LONG_KEY])
    assert "sk-" not in line


@given(st.text(max_size=400), st.text(max_size=400))
@settings(max_examples=150, deadline=None)
def test_no_line_ever_holds_the_key_or_a_control_character(before: str, after: str) -> None:
    line = redacted_line(before + LONG_KEY + after, [LONG_KEY])
    assert LONG_KEY not in line
    assert len(line) <= 300
    assert line.isprintable()


def basic(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "percent": lambda key: quote(key, safe=""),
    "percent, slashes": quote,
    "JSON": lambda key: json.dumps(f"<{key}>"),
    "JSON, slashes": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "base64": basic,
    "base64 of a header": lambda key: basic(f"Bearer {key}"),
    "base64 for URLs": lambda key: base64.urlsafe_b64encode(f"Bearer {key}".encode()).decode(),
}
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=40)


@pytest.mark.parametrize("name", FORMS)
@given(key=KEYS, before=st.text(max_size=30), after=st.text(max_size=30))
@settings(max_examples=60, deadline=None)
def test_whatever_the_form_of_a_key_nothing_of_it_is_left(
    name: str, key: str, before: str, after: str
) -> None:
    form = FORMS[name](key)
    masked = redact(f"{before} {form} {after}", [key])
    assert MASK in masked
    left = masked.replace(MASK, " ")
    assert form not in left
    assert key not in left


@given(st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_a_text_without_the_key_stays_as_it_is(text: str) -> None:
    assert redact(text, ["Zq7#sk-Zq7#secret"]) == text
