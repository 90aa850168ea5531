import pytest

from eventabs.replies.forms import Aliases, fold

ALIASES = Aliases(dict.fromkeys(["U1", "U12"], 100))


@pytest.mark.parametrize(
    "name",
    [
        "U1",
        "u1",
        "Ｕ１",
        "用户U1",
        "用户1",
        "用户 1",
        "User 1",
        "user_1",
        "U-1",
        "U1:",
        "**U1**",
        "## U1",
        "`U1`",
        " U1 ",
        1,
    ],
)
def test_noise_around_an_alias_is_passed_over(name: object) -> None:
    assert ALIASES.find(name) == "U1"


@pytest.mark.parametrize("name", ["U2", "用户 3", 7, "U1234567"])
def test_users_outside_the_batch_are_known_as_such(name: object) -> None:
    assert ALIASES.find(name) == ""


@pytest.mark.parametrize(
    "name", ["", "1", "U", "U01", "user_0001", "U1 and U2", "01-01", None, True, 1.0, ["U1"], "U1" * 40]
)
def test_what_names_no_user_is_none(name: object) -> None:
    assert ALIASES.find(name) is None


def test_a_user_alone_is_known() -> None:
    assert Aliases(dict.fromkeys(["U3"], 100)).only == "U3"
    assert ALIASES.only is None


def test_folding_keeps_every_character_in_its_place() -> None:
    assert fold("１０：００～１１：１４　Ｕ１｜！（）") == "10:00-11:14 U1|!()"
    assert fold("用餐 – — a") == "用餐 - - a"
