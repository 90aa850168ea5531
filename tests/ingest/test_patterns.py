from concurrent.futures import ThreadPoolExecutor

import pytest

from eventabs.ingest.normal_form import check_pattern, search_pattern


@pytest.mark.parametrize(
    ("regex", "found"),
    [
        ("4S店", {"宝马4S店", "4S店 西单"}),
        ("^4S店", {"4S店 西单"}),
        ("4S店$|4s", {"宝马4S店", "4s shop"}),
        ("(?i)4S", {"宝马4S店", "4S店 西单", "4s shop"}),
        ("it's", {"it's"}),
        (r"\p{Han}{2}4", {"宝马4S店"}),
        ("", {"宝马4S店", "4S店 西单", "4s shop", "it's"}),
    ],
)
def test_a_regular_expression_is_found_anywhere_in_a_text(regex: str, found: set[str]) -> None:
    assert search_pattern(regex, ["宝马4S店", "4S店 西单", "4s shop", "it's"]) == found


@pytest.mark.parametrize("regex", ["[", "(?=4S)", "a{2000}", r"(x)\1", "\ud800"])
def test_what_is_no_regular_expression_of_re2_is_refused_in_one_line(regex: str) -> None:
    with pytest.raises(ValueError, match=r"^it takes a regular expression of RE2: [^\n]+$"):
        check_pattern(regex)


@pytest.mark.parametrize("regex", ["(a+)+$", "^(a|a)*$", "(a*)*b", "(.*)(.*)(.*)(.*)(.*)=x"])
def test_an_expression_that_takes_others_for_ever_ends(regex: str) -> None:
    check_pattern(regex)
    assert search_pattern(regex, ["a" * 200 + "!"]) == set()


def test_texts_are_searched_from_several_threads_at_once() -> None:
    texts = [f"{number}" for number in range(500)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda digit: search_pattern(f"{digit}$", texts), "0123456789" * 5))
    assert [len(each) for each in found] == [50] * 50
