from dataclasses import replace
from datetime import datetime

import pytest

from eventabs.records import Behavior, Outcome, Part, Reply, UserLog
from eventabs.replies.forms import Block, Claim, NamedDay, NamedTime, most_claims
from eventabs.replies.reader import Labels, Outcomes, Reading, is_refusal, names_of, read_reply
from reply_cases import LINES_OF, PARTS, USERS, VOCABULARY


def claim(minute: int, kind: str = "a", *, to: int | None = None, summary: str = "") -> Claim:
    return Claim(
        NamedTime(NamedDay(2026, 1, 1), minute),
        None if to is None else NamedTime(None, to),
        kind,
        "",
        summary,
    )


REPLY = Reply("text")


def outcomes_of(*blocks: Block, min_grounded: float = 0.5) -> Outcomes:
    outcomes = Outcomes(USERS, PARTS, Labels(VOCABULARY), min_grounded, "rules", LINES_OF)
    outcomes.add(blocks)
    return outcomes


def outcome_of(*blocks: Block, min_grounded: float = 0.5) -> Outcome:
    return outcomes_of(*blocks, min_grounded=min_grounded).of_all(REPLY, REPLY.text)["U2"]


GROUNDED, ELSEWHERE = claim(480), claim(180)


@pytest.mark.parametrize(
    ("claims", "closed", "min_grounded", "reason"),
    [
        ([GROUNDED], True, 1.0, None),
        ([GROUNDED], False, 0.0, "cut"),
        ([], True, 0.0, "empty"),
        ([claim(480, "!")], True, 0.0, "empty"),
        ([claim(480)._replace(start=NamedTime(None, 480))], True, 0.0, None),
        ([claim(480)._replace(start=NamedTime(NamedDay(2026, 2, 30), 480))], True, 0.0, "empty"),
        ([GROUNDED, ELSEWHERE], True, 0.5, None),
        ([GROUNDED, ELSEWHERE], True, 0.6, "ungrounded"),
        ([ELSEWHERE], True, 0.0, None),
    ],
)
def test_a_block_is_usable_when_closed_with_enough_grounded_events(
    claims: list[Claim], closed: bool, min_grounded: float, reason: str | None
) -> None:
    outcome = outcome_of(Block("U2", closed, claims), min_grounded=min_grounded)
    assert outcome.reason == reason
    assert bool(outcome.events) == (reason is None)


def test_events_are_sorted_and_those_with_type_and_times_of_another_dropped() -> None:
    late, early = claim(720, "late"), claim(480, "early", to=720)
    other = claim(720, "late", summary="other")
    outcome = outcome_of(Block("U2", True, [late, early, late, other, claim(480, "x")]))
    events = outcome.events
    assert outcome.duplicates == 2
    assert [(event.type, event.behaviors) for event in events] == [("x", (5,)), ("early", ()), ("late", (6,))]
    assert {event.source for event in events} == {"rules"}


def test_behaviors_are_counted_in_the_whole_log() -> None:
    outcome = outcome_of(Block("U2", True, [claim(480), claim(720)]))
    assert [event.behaviors for event in outcome.events] == [(5,), (6,)]


def test_the_first_reason_stands_until_a_usable_block() -> None:
    bad, cut, good = Block("U2", True, [ELSEWHERE]), Block("U2", False, []), Block("U2", True, [GROUNDED])
    assert outcome_of(bad, cut).reason == "ungrounded"
    assert outcome_of(cut, bad).reason == "ungrounded"
    assert outcome_of(bad, cut, good).usable
    assert outcome_of(bad, bad, bad, good).reason == "ungrounded"


def test_what_was_ignored_is_counted() -> None:
    twice = Block("U2", True, [GROUNDED, ELSEWHERE]), Block("U2", True, [GROUNDED])
    outcomes = outcomes_of(Block("", True), *twice)
    assert (outcomes.unknown, outcomes.repeated) == (1, 1)
    assert outcomes.has_blocks
    assert not outcomes.complete
    assert outcomes.of_all(REPLY, REPLY.text)["U1"].reason == "missing"


def test_a_user_whose_log_is_empty_gets_no_events() -> None:
    users = {"U1": replace(USERS["U1"], behaviors=())}
    outcomes = Outcomes(users, PARTS, Labels(VOCABULARY), 0.5, "llm", LINES_OF)
    outcomes.add([Block("U1", True, [GROUNDED])])
    assert outcomes.of_all(REPLY, REPLY.text)["U1"].reason == "empty"


def test_two_users_whose_answers_were_mixed_up_are_both_ungrounded() -> None:
    """Their hours overlap, so that each event covers something of the wrong user too."""
    first, second = (
        UserLog(
            name,
            tuple(
                Behavior(datetime(2026, 1, 1, hour, minute), "visit", "家")  # noqa: DTZ001  wall time
                for hour in range(8, 20)
            ),
        )
        for name, minute in (("anna", 10), ("bert", 40))
    )
    users = {"U1": first, "U2": second}
    parts = {alias: Part(log.user_id, 0, 11) for alias, log in users.items()}

    def answered(*minutes: int) -> str:
        blocks = [
            f"## U{number}\n# 2026-01-01\n"
            + "\n".join(f"{h:02d}:{minute}-{h + 2:02d}:{minute} 居家" for h in (8, 11, 14))
            for number, minute in enumerate(minutes, 1)
        ]
        return "\n".join([*blocks, "##"])

    def reasons(text: str) -> list[str | None]:
        reading = read_reply(
            Reply(text),
            users,
            parts,
            labels=Labels(VOCABULARY),
            min_grounded=0.5,
            source="llm",
            lines=LINES_OF,
        )
        return [outcome.reason for outcome in reading.outcomes.values()]

    assert reasons(answered(10, 40)) == [None, None]
    assert reasons(answered(40, 10)) == ["ungrounded", "ungrounded"]
    assert reasons(answered(15, 45)) == [None, None], "rounded times are those of no other user"


def test_more_events_than_a_user_can_have_are_no_answer() -> None:
    block = Block("U2", True, [GROUNDED], overfull=True)
    assert outcome_of(block).reason == "too_many"
    assert outcome_of(block, Block("U2", True, [GROUNDED])).usable


def test_an_honest_answer_has_room_whatever_the_size_of_the_user() -> None:
    assert most_claims(1) > 100
    assert most_claims(10_000) > 20_000


def test_events_that_cover_the_same_again_and_again_are_no_answer() -> None:
    every = [claim(480, f"{number}", to=900) for number in range(200)]
    assert outcome_of(Block("U2", True, every)).usable
    every.append(claim(480, "more", to=900))
    assert outcome_of(Block("U2", True, every)).reason == "too_many"


DONE: list[tuple[str, str, str, int | None]] = [
    ("visit", "西餐厅", "", 4440),
    ("browse", "宝马7系", "汽车之家", 125),
    ("cart", "帐篷", "淘宝", None),
    ("visit", "家", "", None),
]
VISITS = UserLog(
    "cleo",
    tuple(
        Behavior(datetime(2026, 1, 1, hour, 5, second), *done)  # noqa: DTZ001  wall time
        for hour in range(8, 13)
        for second, done in enumerate(DONE)
    ),
)
HOURS = range(8, 13)


def reading_of(text: str) -> Reading:
    return read_reply(
        Reply(f"## U1\n# 2026-01-01\n{text}##\n"),
        {"U1": VISITS},
        {"U1": Part("cleo", 0, 19)},
        labels=Labels(VOCABULARY),
        min_grounded=0.5,
        source="llm",
        lines=LINES_OF,
    )


@pytest.mark.parametrize(
    "said",
    [
        "西餐厅 1h14m",
        "西餐厅  1h14m |",
        "西餐厅 | 1h14m",
        "西餐厅 | 西餐厅 1h14m",
        "看 宝马7系 汽车之家 2m",
        "加购 帐篷 淘宝",
        "看 | 宝马7系 汽车之家 2m",
    ],
)
def test_an_answer_that_repeats_the_log_line_by_line_is_none(said: str) -> None:
    reading = reading_of("".join(f"{hour:02d}:05 {said}\n" for hour in HOURS))
    assert (reading.outcomes["U1"].reason, reading.copied) == ("copied", 5)


@pytest.mark.parametrize(
    "said",
    [
        "用餐 | 西餐厅 1h14m",
        "西餐厅",
        "家",
        "西餐厅 1h",
        "午饭 | 西餐厅 1h14m",
        "加购 | 帐篷 淘宝",
        "到店! | 宝马7系 汽车之家 2m",
        "看 宝马7系",
    ],
)
def test_what_says_more_or_less_than_its_line_is_no_copy(said: str) -> None:
    reading = reading_of("".join(f"{hour:02d}:05 {said}\n" for hour in HOURS))
    assert (reading.outcomes["U1"].reason, reading.copied) == (None, 0)


def test_copies_are_counted_and_kept_where_they_are_few_or_not_all() -> None:
    copies = "".join(f"{hour:02d}:05 西餐厅 1h14m\n" for hour in HOURS)
    few = reading_of(copies[: copies.index("12:05")])
    assert (few.outcomes["U1"].reason, few.copied) == (None, 4)
    one_else = reading_of(copies + "12:05 购物\n")
    assert (one_else.outcomes["U1"].reason, one_else.copied) == (None, 5)
    assert reading_of("08:06 西餐厅 1h14m\n").copied == 0, "no line of that minute"


@pytest.mark.parametrize(
    "text",
    [
        "抱歉，我无法完成。",
        "很抱歉，",
        "对不起，",
        "我无法提供",
        "我不能",
        "作为一个AI语言模型，",
        "I'm sorry, but",
        "**I’m really sorry",
        "Sorry, I can't",
        "I cannot help",
        "I can’t",
        "I am unable to",
        "I apologize, but",
        "Unfortunately, I",
        "As an AI",
    ],
)
def test_a_refusal_is_known_by_its_opening(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text", ["", "Here are the events", "用户无法", "Sorrysoft", "I can see", "The user said: I cannot"]
)
def test_other_texts_are_no_refusal(text: str) -> None:
    assert not is_refusal(text)


def test_a_summary_that_the_answer_lacks_is_made_of_the_names_of_its_behaviors_and_marked() -> None:
    (event,) = (
        read_reply(
            Reply("## U1\n# 2026-01-01\n10:00 用餐\n##"),
            {"U1": USERS["U1"]},
            {"U1": PARTS["U1"]},
            labels=Labels(VOCABULARY),
            min_grounded=0.5,
            source="llm",
            lines=LINES_OF,
            named_summaries=True,
        )
        .outcomes["U1"]
        .events
    )
    assert (event.summary, event.summary_source) == ("somewhere", "behaviors")
    assert event.model_dump()["summary_source"] == "behaviors"


def test_names_are_the_first_three_that_differ() -> None:
    named = [Behavior(datetime.fromisoformat("2026-01-01"), "browse", name, "") for name in "abacd"]
    assert names_of(named[:3]) == "a, b"
    assert names_of(named) == "a, b, c …"
    assert names_of([]) == ""
