"""The shipped vocabulary is sound in both languages."""

import pytest

from eventabs.interface_language import Language
from eventabs.prompts.compact_lines import default_vocabulary
from eventabs.shared_records import Category


def test_both_languages_offer_the_same_types_in_the_same_order() -> None:
    categories = [[kind.category for kind in default_vocabulary(language).types] for language in ("zh", "en")]
    assert categories[0] == categories[1]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_names_are_unique_and_free_of_the_characters_of_the_answer(language: Language) -> None:
    names = [kind.name for kind in default_vocabulary(language).types]
    assert len(set(names)) == len(names)
    assert not any(character in name for name in names for character in "|!#$>?;:\n")
    assert not any(name[-1].isdigit() for name in names)


def test_both_languages_have_the_same_kinds_of_journeys_and_a_word_for_minor_rows() -> None:
    chinese, english = default_vocabulary("zh"), default_vocabulary("en")
    assert [bool(kind.meaning) for kind in chinese.journeys] == [
        bool(kind.meaning) for kind in english.journeys
    ]
    assert (chinese.minor, english.minor) == ("零碎", "minor")
    for vocabulary in (chinese, english):
        assert vocabulary.minor not in {kind.name for kind in vocabulary.types}


def test_under_other_categories_no_type_claims_one_that_is_not_there() -> None:
    vocabulary = default_vocabulary("en", (Category("risk", "*"), Category("normal")), open_types=False)
    assert {kind.category for kind in vocabulary.types} == {""}
    assert not vocabulary.open
