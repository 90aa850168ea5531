"""A model's own tokenizer counts exactly; where counts of pieces do not add up, whole texts are counted."""

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import NFC
from tokenizers.pre_tokenizers import ByteLevel, Metaspace, PreTokenizer, Sequence, Split
from tokenizers.trainers import BpeTrainer

from eventabs.errors_and_exit_codes import ConfigError
from eventabs.prompts.instructions_and_requests import CHAT_FRAMING_TOKENS
from eventabs.prompts.packing import BatchLimits
from eventabs.prompts.tokens import TokenCounter
from eventabs.setting_choices import Compaction
from eventabs.shared_records import Behavior, UserLog
from read_back import make_builder

SAMPLE = [
    "1 07:43 家\n12 08:05 用 微信 2m\n100 09:00 家\n1204 743 家 24\n",
    "10:00 西餐厅 1h14m\n14:30 看 宝马7系 汽车之家 2m\n## U1 40岁\n# 2026-01-01 周四\n",
    "hello world's view\n",
]
# the pattern that Qwen publishes: single digits
SINGLE_DIGITS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
KINDS: dict[str, Callable[[], PreTokenizer | None]] = {
    "gpt": lambda: ByteLevel(add_prefix_space=False),
    "digits": lambda: Sequence(
        [Split(Regex(SINGLE_DIGITS), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)]
    ),
    "prefix": lambda: ByteLevel(add_prefix_space=True),
    "metaspace": Metaspace,
    "none": lambda: None,
}
ADD_UP = {"gpt": True, "digits": True, "prefix": False, "metaspace": False, "none": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizers")
    for kind, pre_tokenizer in KINDS.items():
        tokenizer = Tokenizer(BPE(unk_token="?"))  # noqa: S106  no password
        if (made := pre_tokenizer()) is not None:
            tokenizer.pre_tokenizer = made
        tokenizer.normalizer = NFC()
        trainer = BpeTrainer(
            vocab_size=600,
            special_tokens=["?", "<|im_end|>"],
            initial_alphabet=ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(SAMPLE * 30, trainer)
        tokenizer.save(str(folder / f"{kind}.json"))
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_whether_counts_of_pieces_add_up_is_found_out(folder: Path, kind: str) -> None:
    counter = TokenCounter(str(folder / f"{kind}.json"))
    assert counter.adds_up == ADD_UP[kind]
    assert counter.seam == (0 if ADD_UP[kind] else 2)


@pytest.mark.parametrize("kind", KINDS)
def test_text_that_looks_like_a_special_token_counts_as_text(folder: Path, kind: str) -> None:
    assert TokenCounter(str(folder / f"{kind}.json")).count("<|im_end|>") > 1


WORDS = st.text(st.sampled_from("ab Z0189宝马餐厅·\"'#|_-!，。😀é\u0301\u3000"), max_size=10)
MOMENTS = st.integers(0, 9_000).map(lambda m: datetime.fromisoformat("2026-01-01") + timedelta(minutes=m))
ACTIONS = st.sampled_from(["visit", "", "use", "browse", "打卡"])
LOGS = st.builds(
    UserLog,
    st.just(""),
    st.lists(
        st.builds(Behavior, MOMENTS, ACTIONS, WORDS, WORDS, st.none() | st.integers(0, 90_000)), max_size=4
    ).map(lambda rows: tuple(sorted(rows, key=lambda row: row.start))),
    profile=st.just(()),
    known=st.just(()),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(LOGS, min_size=1, max_size=12),
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(["line", "dense"]),
)
def test_what_is_sent_never_counts_more_than_what_was_measured(
    folder: Path, logs: list[UserLog], kind: str, level: Compaction
) -> None:
    counter = TokenCounter(str(folder / f"{kind}.json"))
    builder = make_builder(level, {} if level == "line" else {"A": "看 宝马7系", "B": "汽车之家"}, counter)
    request = builder.request(logs, max_output_tokens=1)
    limits = BatchLimits(40_000, builder.instructions_tokens, 8_192, 30, 0, builder.counter)
    measured = limits.input_tokens(map(builder.measure, logs))
    counted = sum(counter.count(message["content"]) for message in request.messages) + CHAT_FRAMING_TOKENS
    assert counted <= measured
    if counter.adds_up:
        assert request.input_tokens == counted


def test_a_file_that_is_no_tokenizer_is_refused_with_the_next_step(tmp_path: Path) -> None:
    wrong = tmp_path / "tokenizer.json"
    for text in (None, "{}", "not json"):
        if text is not None:
            wrong.write_text(text)
        with pytest.raises(ConfigError, match=r"name a tokenizer\.json"):
            TokenCounter(str(wrong))


def test_without_the_extra_its_name_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ConfigError, match=r"eventabs\[tokenizers\]"):
        TokenCounter(str(tmp_path / "tokenizer.json"))
