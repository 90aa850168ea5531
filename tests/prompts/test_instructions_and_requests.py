"""What is measured is what is sent, and every call begins with the same bytes."""

from datetime import datetime, timedelta

from hypothesis import given, settings, strategies as st

from eventabs.prompts.compact_lines import default_vocabulary
from eventabs.prompts.instructions_and_requests import CHAT_FRAMING_TOKENS, Instructions, PromptBuilder
from eventabs.prompts.packing import MAX_ALIASES, BatchLimits
from eventabs.prompts.tokens import TokenCounter
from eventabs.prompts.user_costs import log_of_part, measure_parts
from eventabs.setting_choices import AnswerForm
from eventabs.shared_records import Behavior, UserLog
from gbnf import accepts

COUNTER = TokenCounter()
START = datetime.fromisoformat("2026-01-01T10:00")


def make_builder(
    answer: AnswerForm = "lines", strip: tuple[str, ...] = ("XX",), *, constrained: bool = False
) -> PromptBuilder:
    instructions = Instructions(language="zh", vocabulary=default_vocabulary("zh"), answer=answer)
    return PromptBuilder(instructions, counter=COUNTER, strip=strip, constrained=constrained)


BUILDER = make_builder()


def user(name: str, count: int = 3, step: timedelta = timedelta(hours=7)) -> UserLog:
    behaviors = [Behavior(START + step * n, "visit", f"XX餐厅{n}", "", 60 * n) for n in range(count)]
    return UserLog(name, tuple(behaviors), (("age", "40"), ("city", "上海")))


WORDS = st.text(st.sampled_from("ab Z019宝马餐厅·\"'\\:#|_-!，。)😀\u3000\n"), max_size=12)
LOGS = st.builds(
    UserLog,
    st.text(max_size=4),
    st.lists(
        st.builds(
            Behavior,
            st.integers(0, 100_000).map(lambda minute: START + timedelta(minutes=minute)),
            st.sampled_from(["visit", "", "use", "browse", "compare", "打卡"]),
            WORDS,
            WORDS,
            st.none() | st.integers(0, 90_000),
        ),
        max_size=4,
    ).map(lambda rows: tuple(sorted(rows, key=lambda row: row.start))),
    st.lists(st.tuples(st.sampled_from(["age", "city", "income"]), WORDS), max_size=3).map(tuple),
    known=st.just(()),
)


def limits_of(builder: PromptBuilder, room: int = 39_000, max_output_tokens: int = 8_192) -> BatchLimits:
    instructions = builder.instructions_tokens
    return BatchLimits(instructions + room, instructions, max_output_tokens, 30, 0, builder.counter)


@settings(max_examples=150, deadline=None)
@given(st.lists(LOGS, min_size=1, max_size=5), st.integers(0, 1_200))
def test_measured_blocks_instructions_and_row_numbers_add_up_to_the_messages(
    logs: list[UserLog], rows_before: int
) -> None:
    logs = [user("many", rows_before), *logs]  # numbers of four digits cost more
    request = BUILDER.request(logs, max_output_tokens=100)
    measured = limits_of(BUILDER).input_tokens(map(BUILDER.measure, logs))
    counted = sum(COUNTER.count(message["content"]) for message in request.messages)
    assert request.input_tokens == measured == counted + CHAT_FRAMING_TOKENS


def test_rows_are_numbered_from_1_through_all_users() -> None:
    request = BUILDER.request([user("a", 2), user("b", 0), user("c", 3)], max_output_tokens=1)
    lines = [line for line in request.messages[1]["content"].splitlines() if line[0] != "#"]
    assert [line.split(" ")[0] for line in lines] == ["1", "2", "3", "4", "5"]


def test_every_alias_of_a_batch_costs_the_same() -> None:
    counts = {COUNTER.count(f"## U{number}") for number in range(1, MAX_ALIASES + 1)}
    assert len(counts) == 1


def test_the_system_message_is_equal_to_the_byte_in_every_call() -> None:
    one = BUILDER.request([user("a")], max_output_tokens=1)
    two = make_builder().request([user("b"), user("c")], max_output_tokens=2)
    assert one.messages[0] == two.messages[0]
    assert one.messages[0]["role"] == "system"


def test_a_request_holds_only_blocks_under_aliases_and_no_user_id() -> None:
    request = BUILDER.request([user("user_0007"), user("user_0008")], max_output_tokens=500)
    content = request.messages[1]["content"]
    assert content.startswith("## U1 40岁 上海\n# 2026-01-01 周四\n1 10:00 餐厅0 0s\n")
    assert content.endswith("\n")
    assert content.count("## U") == 2
    assert "user_000" not in content
    assert {alias: log.user_id for alias, log in request.users.items()} == {
        "U1": "user_0007",
        "U2": "user_0008",
    }
    assert request.max_output_tokens == 500


def test_a_constrained_request_is_bound_to_its_own_users_and_costs_nothing_more() -> None:
    logs = [user("a"), user("b", 1)]
    free = BUILDER.request(logs, max_output_tokens=1)
    bound = make_builder(constrained=True).request(logs, max_output_tokens=1)
    assert bound._replace(grammar="") == free
    assert accepts(bound.grammar, "## U1\n用餐 1-3\n## U2\n打牌 4\n##")
    assert not accepts(bound.grammar, "## U1\n用餐 1-4\n## U2\n打牌 4\n##")
    tight = make_builder("schema", constrained=True).request(logs, max_output_tokens=1)
    assert tight.response_format != make_builder("schema").request(logs, max_output_tokens=1).response_format
    assert not tight.grammar


def test_rows_and_expected_output_are_measured_with_the_log() -> None:
    assert BUILDER.measure(user("a", 3))[1:] == (8 + 11, 3)
    assert make_builder("schema").measure(user("a", 3))[1:] == (8 + 15, 3)


def test_a_user_too_large_for_a_batch_is_cut_into_parts_that_fit_with_their_own_headers() -> None:
    log = user("a", 200, timedelta(hours=1))
    limits = limits_of(BUILDER, 500)
    parts = [part for part, _size in measure_parts(log, BUILDER, limits)]
    assert [index for part in parts for index in range(part.first, part.last + 1)] == list(range(200))
    pieces = [UserLog("a", log.behaviors[part.first : part.last + 1], log.profile) for part in parts]
    assert len(parts) > 2
    assert all(limits.hold(BUILDER.measure(piece)) for piece in pieces)
    content = BUILDER.request(pieces[1:2], max_output_tokens=1).messages[1]["content"]
    assert content.startswith("## U1 40岁 上海\n# 2026-01-0")


def test_the_expected_answer_cuts_a_user_as_well() -> None:
    log = user("a", 40, timedelta(days=1))
    parts = measure_parts(log, BUILDER, limits_of(BUILDER, max_output_tokens=8 + 35))
    assert [part.last - part.first + 1 for part, _size in parts] == [10, 10, 10, 10]


@settings(max_examples=100, deadline=None)
@given(LOGS)
def test_each_part_of_a_log_has_its_own_count(log: UserLog) -> None:
    for limits in (limits_of(BUILDER), limits_of(BUILDER, max_output_tokens=8 + 7)):
        parts = measure_parts(log, BUILDER, limits, start=3)
        stretches = [part._replace(first=part.first - 3, last=part.last - 3) for part, _size in parts]
        counts = [BUILDER.measure(log_of_part(log, part)) for part in stretches]
        assert counts == [size for _part, size in parts]


def test_a_part_may_not_have_more_rows_than_a_call() -> None:
    limits = limits_of(BUILDER)._replace(max_rows=15)
    parts = measure_parts(user("a", 40, timedelta(days=1)), BUILDER, limits)
    assert [part.last - part.first + 1 for part, _size in parts] == [15, 15, 10]
