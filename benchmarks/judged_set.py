"""The set to judge by (judged/README.md): how far its two readers agree, and how the answers to a prompt do.

    python benchmarks/judged_set.py                # those of 185b292, which are kept beside the set
    python benchmarks/judged_set.py --answers DIR  # others: zh-1.txt to its zh-1.prompt.txt, and so on; what is missing is asked for
    python benchmarks/judged_set.py --extended     # the same users in a run and three extensions

Truth is what both readers have: groups of one kind with a Dice coefficient of at least 0.8, by the rows of both, and the rows that both call
noise. No other row is judged. Sub-groups are joined to their wholes.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from eventabs.measures import (
    FIGURES,
    JOURNEY_FIGURES,
    SHAPE_FIGURES,
    Compared,
    Group,
    Score,
    Sums,
    added,
    scores_of,
)
from eventabs.quality import Evaluation, evaluate, read_labels

SET: Final = Path(__file__).resolve().parent / "judged"
LANGUAGES: Final = ("zh", "en")
UNDERTAKING: Final = "undertaking"
WAITING: Final = 4  # the exit code of a run whose requests are to be answered
SHOWN: Final = ("pair_f1", "bcubed_f1", "whole_f1", "boundary_f1")  # of all groups
DAYS: Final = (6, 12, 18, 30)  # of a run, and after each extension of it
COLUMNS: Final = ("user_id", "line", "group", "label", "parent", "kind")
BASELINES: Final = ("rows", "action", "object", "pause", "rules")
Grouped = Mapping[str, list[Group]]  # by user; `type`: the kind, `category`: the label


def grouped(path: Path) -> Grouped:
    """Read labels: each whole is one group of lines."""
    users: dict[str, list[Group]] = {}
    for user, labels in read_labels(path).by_user.items():
        lines, kinds, names = defaultdict[str, set[int]](set), dict[str, str](), dict[str, str]()
        for each in labels:
            whole = each.parent or each.group
            kinds[whole], names[each.group] = each.kind, each.label
            lines[whole].add(each.line)
        lines.pop("", None)
        users[user] = [
            Group(frozenset(rows), kinds[name], names[name], name if kinds[name] == UNDERTAKING else "")
            for name, rows in lines.items()
        ]
    return users


def lines_of(path: Path) -> dict[str, list[int]]:
    """Return the lines of each user in the export, in order of time."""
    lines = defaultdict[str, list[int]](list)
    for number, text in enumerate(path.read_text("utf-8").splitlines(), start=1):
        lines[json.loads(text)["user_id"]].append(number)
    return dict(lines)


def agreed(first: Sequence[Group], second: Sequence[Group]) -> list[Group]:
    """Return the groups of one kind that two readers both have, by the rows of both."""
    held = sorted({row for group in (*first, *second) for row in group.rows})
    return [
        first[one]._replace(rows=first[one].rows & second[other].rows)
        for one, other in Compared(first, second, held).pairs()
        if first[one].type == second[other].type
    ]


def truth_of(lines: Mapping[str, Sequence[int]], first: Grouped, second: Grouped) -> str:
    """Return the truth as a file of labels; rows that are not in it are not judged."""
    rows: list[tuple[str, int, str, str, str, str]] = []
    for user, own in lines.items():
        held = {line for group in (*first[user], *second[user]) for line in group.rows}
        rows += [(user, line, "", "", "", "noise") for line in own if line not in held]
        for number, group in enumerate(agreed(first[user], second[user]), start=1):
            rows += [
                (user, line, f"{group.type[0]}{number}", group.category, "", group.type)
                for line in group.rows
            ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([COLUMNS, *sorted(rows, key=lambda row: row[1])])
    return text.getvalue()


def agreement(language: str, found: str, wanted: str) -> list[Sums]:
    """Return what the figures of two labellings are made of, for each user."""
    lines = lines_of(SET / f"{language}.jsonl")
    ours, theirs = (grouped(SET / f"{name}_{language}.csv") for name in (found, wanted))
    return [Compared(ours[user], theirs[user], own).agreement() for user, own in lines.items()]


def readers_table() -> Iterator[str]:
    """Yield the lines of the table of readers and author."""
    yield "| found, wanted | undertakings whole | false | best Dice | pairs, F1 | B-cubed, F1 | found whole, F1 | boundaries, F1 |"
    yield "|---|---|---|---|---|---|---|---|"
    for found, wanted in (("reader_b", "reader_a"), ("reader_a", "author"), ("reader_b", "author")):
        by_language = {language: agreement(language, found, wanted) for language in LANGUAGES}
        for name, users in {
            **by_language,
            "both": [u for each in by_language.values() for u in each],
        }.items():
            total = added(users)
            journeys, figures = scores_of(users, JOURNEY_FIGURES, {}), scores_of(users, FIGURES, {})
            cells = [
                f"{total['journeys_whole']:.0f} of {total['journeys_wanted']:.0f}",
                f"{total['journeys_false']:.0f} of {total['journeys_found']:.0f}",
                _shown(journeys["best_dice"]),
                *(_shown(figures[each]) for each in SHOWN),
            ]
            yield _line(f"{found}, {wanted}, {name}", *cells)


def _shown(figure: Score) -> str:
    if figure.value is None:
        return ""
    bounds = "" if figure.low is None else f" ({figure.low:.3f} to {figure.high:.3f})"
    return f"{figure.value:.3f}{bounds}"


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def answered(export: Path, folder: Path, answers: Path, *options: object) -> Path:
    """Return a run of the answers; exits as `answer` does."""
    name, directory = export.stem, folder / f"{export.stem}.eventabs"
    model = ["--mode", "files", "--model", "large", "--base-url", "http://127.0.0.1:9/v1"]
    _tool(folder, "run", export, *options, *model, "--out", directory)
    answer(name, directory, answers)
    return directory


def extended(export: Path, folder: Path, answers: Path, *options: object) -> Path:
    """Return a run of the first days that was extended by the others, as DAYS cuts them, each with an answer of its own."""
    rows = [json.loads(line) for line in export.read_text("utf-8").splitlines()]
    first = datetime.fromisoformat(rows[0]["timestamp"]).replace(hour=5, minute=0, second=0)
    directory = folder / f"{export.stem}.eventabs"
    for step, days in enumerate(DAYS):
        known = [
            row for row in rows if datetime.fromisoformat(row["timestamp"]) < first + timedelta(days=days)
        ]
        part = folder / f"{export.stem}-{step}.jsonl"
        part.write_text("".join(json.dumps(row) + "\n" for row in known), "utf-8")
        if step:
            _tool(folder, "extend", directory, part, *options)
            answer(part.stem, directory, answers)
        else:
            answered(part, folder, answers, *options).rename(directory)
    return directory


def answer(name: str, directory: Path, answers: Path) -> None:
    """Give a run its answers. Exits where they are to other requests than this version's, and where some are missing.

    Beside an answer lies its request, or the SHA-256 of it.
    """
    missing, folder = [], directory.parent
    replies = folder / f"{name}.replies.jsonl"
    with replies.open("w", encoding="utf-8") as file:
        for number, text in enumerate((directory / "requests.jsonl").read_text("utf-8").splitlines(), 1):
            request = json.loads(text)
            prompt = "\n\n".join(
                f"[{each['role']}]\n{each['content']}" for each in request["body"]["messages"]
            )
            asked, answer = (answers / f"{name}-{number}{end}.txt" for end in (".prompt", ""))
            digest = asked.with_suffix(".sha256")
            if not answer.exists():
                asked.write_text(prompt, "utf-8")
                missing.append(str(answer))
                continue
            if (
                asked.read_text("utf-8") != prompt
                if asked.exists()
                else digest.read_text() != sha256_of(prompt)
            ):
                sys.exit(
                    f"{asked} is not what this version asks; have its own requests answered: --answers DIR"
                )
            file.write(json.dumps(_reply(request["custom_id"], answer.read_text("utf-8"))) + "\n")
    if missing:
        sys.exit(f"Answers are missing: {', '.join(missing)}; the requests are beside them")
    print(f"{name}: {_tool(folder, 'resume', directory, '--replies', replies)}")


def sha256_of(text: str) -> str:
    """Return the digest of a request, as a file holds it."""
    return hashlib.sha256(text.encode()).hexdigest() + "\n"


def _reply(custom_id: str, content: str) -> Mapping[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    body = {"model": "large", "choices": [choice], "usage": usage}
    return {"custom_id": custom_id, "response": {"status_code": 200, "body": body}, "error": None}


def _tool(folder: Path, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "eventabs", *map(str, arguments), "--quiet"],
        cwd=folder,
        env={**os.environ, "XDG_STATE_HOME": str(folder / ".state")},
        check=False,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode not in {0, WAITING}:
        sys.exit(done.stderr)
    return done.stderr.partition("\n")[0]


def answers_table(name: str, evaluation: Evaluation) -> Iterator[str]:
    """Yield the lines of the table of answers against labels, beside the baselines."""
    total = evaluation.totals["wholes"]
    yield f"| {name} | {' | '.join(BASELINES)} | answers | skill |"
    yield "|---" * (len(BASELINES) + 3) + "|"
    for kind, figures in (("journeys", ("whole", "best_dice")), ("wholes", SHOWN)):
        for figure in figures:
            score = evaluation.scores[kind][figure]
            reached = [
                "" if (value := score.baselines[each]) is None else f"{value:.3f}" for each in BASELINES
            ]
            skill = "" if score.skill is None else f"{score.skill:.3f}"
            yield _line(f"{kind} {figure}", *reached, _shown(score), skill)
    yield ""
    whole, wanted = total["journeys_whole"], total["journeys_wanted"]
    yield f"undertakings found whole: {whole:.0f} of {wanted:.0f}; false: {total['journeys_false']:.0f} of {total['journeys_found']:.0f}"
    for side, shape in evaluation.shapes.items():
        coarse = "; ".join(f"{each} {figure(shape) or 0:.3f}" for each, figure in SHAPE_FIGURES.items())
        yield f"{side}: {shape['groups']:.0f} with {shape['grouped']:.0f} of {total['rows']:.0f} rows; {coarse}"
    yield ""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--answers", type=Path, default=SET / "answers", help="a folder of answers")
    parser.add_argument("--extended", action="store_true", help="in a run and three extensions")
    given = parser.parse_args()
    answers: Path = (given.answers / "extended" if given.extended else given.answers).resolve()
    answers.mkdir(parents=True, exist_ok=True)
    print(*readers_table(), "", sep="\n")
    with tempfile.TemporaryDirectory() as folder:
        for language in LANGUAGES:
            truth = SET / f"truth_{language}.csv"
            profiles = SET / f"{language}_profiles.csv"
            export = SET / f"{language}.jsonl"
            read = extended if given.extended else answered
            directory = read(export, Path(folder), answers, "--profiles", profiles)
            for gold in (truth, SET / f"author_{language}.csv"):
                print(*answers_table(gold.stem, evaluate(directory, gold)), sep="\n")


if __name__ == "__main__":
    main()
