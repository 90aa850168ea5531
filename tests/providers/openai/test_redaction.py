import base64

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.providers.openai.endpoint import MASK, one_line, redact

KEY = "sk-proj-0123456789/abc=="


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        f"your key {KEY}, sir",
        f"?key={KEY.replace('/', '%2F').replace('=', '%3D')}&x",
        "Basic " + base64.b64encode(KEY.encode()).decode(),
    ],
)
def test_a_secret_is_masked_in_every_form(text: str) -> None:
    masked = redact(text, [KEY])
    assert MASK in masked
    assert "0123456789" not in masked
    assert base64.b64encode(KEY.encode()).decode()[:20] not in masked


def test_a_short_secret_is_masked_only_where_it_stands_alone() -> None:
    assert redact("user 42 of 421", ["42"]) == f"user {MASK} of 421"


def test_a_secret_inside_a_longer_one_leaves_no_rest() -> None:
    assert redact("token-abcdef-xyz", ["abcdef", "token-abcdef-xyz"]) == MASK


def test_foreign_text_becomes_one_short_line() -> None:
    line = one_line("a\r\n\tb\x1b[31m \u202ec\u2028d" + " long" * 100, [])
    assert line.startswith("a b [31m c d long")
    assert len(line) == 300
    assert line.endswith("…")


def test_a_key_is_masked_before_the_line_is_cut() -> None:
    line = one_line("x" * 290 + " " + KEY, [KEY])
    assert "sk-" not in line


@given(st.text(max_size=400), st.text(max_size=400))
@settings(max_examples=150, deadline=None)
def test_no_line_ever_holds_the_key_or_a_control_character(before: str, after: str) -> None:
    line = one_line(before + KEY + after, [KEY])
    assert KEY not in line
    assert len(line) <= 300
    assert line.isprintable()
