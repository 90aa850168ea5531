from collections import Counter
from pathlib import Path

import pytest

from eventabs.quality import read_labels
from judged_set import LANGUAGES, SET, Grouped, agreed, answered, grouped, lines_of, sha256_of, truth_of

languages = pytest.mark.parametrize("language", LANGUAGES)


@languages
@pytest.mark.parametrize("labeler", ["author", "reader_a", "reader_b"])
def test_author_and_readers_labeled_every_row_once(language: str, labeler: str) -> None:
    labels = read_labels(SET / f"{labeler}_{language}.csv").by_user
    rows = {user: sorted(each.line for each in own) for user, own in labels.items()}
    assert rows == lines_of(SET / f"{language}.jsonl")


@languages
def test_the_truth_is_what_both_readers_have(language: str) -> None:
    first, second = (grouped(SET / f"reader_{reader}_{language}.csv") for reader in "ab")
    truth = truth_of(lines_of(SET / f"{language}.jsonl"), first, second)
    assert (SET / f"truth_{language}.csv").read_text("utf-8") == truth


def test_rows_of_which_readers_say_other_things_are_not_judged(tmp_path: Path) -> None:
    first, second = (
        _read(tmp_path / f"{name}.csv", rows)
        for name, rows in (
            (
                "a",
                ["1,u1,,undertaking", "2,u1a,u1,undertaking", "3,u1,,undertaking", "4,,,noise", "5,,,noise"],
            ),
            ("b", ["1,x,,undertaking", "2,x,,undertaking", "3,r,,routine", "4,r,,routine", "5,,,noise"]),
        )
    )
    truth = truth_of({"u": [1, 2, 3, 4, 5]}, first, second).splitlines()[1:]
    assert [line.split(",")[1] for line in truth] == ["1", "2", "5"]
    assert Counter(line.rpartition(",")[2] for line in truth) == {"undertaking": 2, "noise": 1}


def test_an_undertaking_and_a_routine_of_the_same_rows_are_no_agreement(tmp_path: Path) -> None:
    first, second = (
        _read(tmp_path / f"{kind}.csv", [f"1,g,,{kind}", f"2,g,,{kind}"])
        for kind in ("undertaking", "routine")
    )
    assert agreed(first["u"], second["u"]) == []


@pytest.mark.slow
def test_requests_without_an_answer_are_written_beside_where_it_is_looked_for(tmp_path: Path) -> None:
    answers = tmp_path / "answers"
    answers.mkdir()
    with pytest.raises(SystemExit, match="Answers are missing"):
        answered(SET / "en.jsonl", tmp_path, answers)
    assert "## U1" in (answers / "en-1.prompt.txt").read_text("utf-8")


@pytest.mark.slow
def test_an_answer_to_another_request_is_refused_also_where_only_its_digest_is_kept(tmp_path: Path) -> None:
    (tmp_path / "en-1.txt").write_text("## U1\n##", "utf-8")
    (tmp_path / "en-1.prompt.sha256").write_text(sha256_of("another"))
    with pytest.raises(SystemExit, match="not what this version asks"):
        answered(SET / "en.jsonl", tmp_path, tmp_path)


def _read(path: Path, rows: list[str]) -> Grouped:
    lines = [f"u,{row}" for row in rows]
    path.write_text("\n".join(["user,line,group,parent,kind", *lines]), "utf-8")
    return grouped(path)
