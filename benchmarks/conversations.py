"""Groups that people made: the conversations of IRC logs (Kummerfeld et al. 2019, CC-BY 4.0), and how answers do on them.

    git clone https://github.com/jkkummerfeld/irc-disentanglement   # commit 82ed04f9
    python benchmarks/conversations.py irc-disentanglement DIR      # writes DIR/irc.jsonl and irc_gold.csv, judges judged/conversations

A user is a speaker of one log of data/dev or data/test: 20 drawn, with seed 2019, of the 22 with 40 rows or more among the 40 with most. A
group is a connected set of the links that annotators made. Nicks, addresses and hosts are replaced. The requests are not kept, since they hold
the messages: each answer lies beside the SHA-256 of the request that it answers.
"""

import argparse
import csv
import json
import os
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any, Final, NamedTuple

from eventabs.quality import evaluate
from judged_set import SET, answered, answers_table

ANSWERS: Final = SET / "conversations"
GUIDANCE: Final = (
    "Messages of one conversation, about one problem or one topic, are one undertaking, at any time."
)
BOT: Final = re.compile(r"^(ubo[t]|floodbot|\[?ubot)", re.IGNORECASE)
SAYS: Final = re.compile(r"^\[(\d\d):(\d\d)\] +<([^>]+)> ?(.*)$")
DOES: Final = re.compile(r"^\[(\d\d):(\d\d)\] +\* +(\S+) ?(.*)$")
NICK: Final = r"[A-Za-z0-9_\-\[\]\\^{}|`]+"
ANNOTATED: Final = 1000  # the number of the first message of a log that has labels
SPEAKERS, LEAST, USERS, SEED = 40, 40, 20, 2019


class Row(NamedTuple):
    """A message of a speaker."""

    log: str
    speaker: str
    time: datetime
    action: str
    text: str
    group: str


class Log(NamedTuple):
    """A log: its part of the corpus, its name, its lines."""

    part: str
    name: str
    lines: list[str]


def logs_of(root: Path) -> Iterator[Log]:
    """Yield the logs that have labels."""
    for part in ("dev", "test"):
        for path in sorted((root / "data" / part).glob("*.ascii.txt")):
            lines = path.read_text("ascii", errors="replace").split("\n")
            yield Log(part, path.name.removesuffix(".ascii.txt"), lines)


def groups_of_messages(root: Path) -> dict[tuple[str, int], str]:
    """Return the group of each message, by log and number."""
    found: dict[tuple[str, int], str] = {}
    for part in ("dev", "test"):
        text = (root / "data" / f"gold.{part}.clusters.txt").read_text()
        for number, line in enumerate(text.splitlines()):
            log, members = line.rstrip().split(":")
            found |= {(log, int(member)): f"{part}-{number:04}" for member in members.split()}
    return found


class Names:
    """The stand-ins of the nicks of a log; a change of nick keeps it."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.stand: dict[str, str] = {}
        for line in lines:
            if found := SAYS.match(line) or DOES.match(line):
                self.add(found[3])
            elif found := re.match(r"^=== (\S+) is now known as (\S+)", line):
                self.add(found[1])
                self.stand.setdefault(found[2].lower(), self.stand[found[1].lower()])
            elif found := re.match(rf"^=== ({NICK}) ", line):
                self.add(found[1])

    def add(self, nick: str) -> None:
        """Give a nick a stand-in."""
        self.stand.setdefault(nick.lower(), f"n{len(set(self.stand.values())) + 1:03}")

    def of(self, nick: str) -> str:
        """Return the stand-in of a nick, "" where it has none."""
        return self.stand.get(nick.lower(), "")

    def begins_with(self, word: str) -> str:
        """Return the one stand-in of the nicks that begin with a word, "" for none or several."""
        near = {stand for nick, stand in self.stand.items() if nick.startswith(word)}
        return near.pop() if len(near) == 1 else ""


def common_words(logs: Sequence[Log]) -> tuple[set[str], set[str]]:
    """Return words that are said in five logs, and in two, and are no nicks."""
    said, speaks = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for log in logs:
        for found in filter(None, map(SAYS.match, log.lines)):
            speaks[found[3].lower()].add(log.name)
            for word in re.findall(r"\b[a-z]{2,}\b(?![:,])", found[4]):
                said[word].add(log.name)
    few, seldom = 2, 10
    said = defaultdict(
        set, {w: where for w, where in said.items() if len(speaks[w]) < few or len(where) >= seldom}
    )
    usual = 5
    return {w for w, where in said.items() if len(where) >= usual}, {
        w for w, where in said.items() if len(where) >= few
    }


MASKS: Final = (
    (
        r"\bhttps?://(?:[^\s/@]*@)?([A-Za-z0-9.\-]+)\S*|\bftp://(?:[^\s/@]*@)?([A-Za-z0-9.\-]+)\S*",
        r"<link \1\2>",
    ),
    (r"\bwww\.([A-Za-z0-9.\-]+)\S*", r"<link \1>"),
    (r"\S+@\S+", "<user@host>"),
    (r"@[A-Za-z0-9\-]+:(?=[/~])", "@<host>:"),
    (r"([-dl][-rwxsStT]{9}\S* +\d+) +\S+ +\S+", r"\1 <user> <user>"),
    (r"/home/[^\s/<>]+", "/home/<user>"),
    (r"\b[0-9A-Fa-f]{2}(?:[:\-][0-9A-Fa-f]{2}){5}\b", "<mac>"),
    (r"\b\d{1,3}(?:\.\d{1,3}){3}\b", "<ip>"),
)
IN_ANY_CASE: Final = 2  # of the masks
SHORTEST: Final = {"addressee": 3, "cut": 5, "nick": 2}  # letters


def cleaned(text: str, names: Names, words: tuple[set[str], set[str]]) -> str:
    """Replace nicks, addresses and hosts."""
    usual, said = words
    text = re.sub(r"<([^<>\s]+)>", lambda found: f"<{names.of(found[1]) or 'other'}>", text)
    for number, (form, mask) in enumerate(MASKS):
        text = re.sub(form, mask, text, flags=re.IGNORECASE if number < IN_ANY_CASE else 0)
    if found := re.match(rf"^(@?)({NICK})(\s*[:,;>-]+)(\s|$)", text):
        nick = found[2]
        who = names.of(nick) or names.of(nick.rstrip("-"))
        if not who and len(nick) >= SHORTEST["addressee"] and nick.lower() not in usual:
            who = names.begins_with(nick.lower())
            if not who and nick.lower() not in said and found[3][0] in ":,":
                names.add(nick)  # one that never speaks in this log
                who = names.of(nick)
        if who:
            text = f"{who}: {text[found.end() :]}"

    def replaced(found: re.Match[str]) -> str:
        word, low = found[0], found[0].lower()
        for tail in ("", word[len(word.rstrip("-_|`^")) :]):
            core = low[: len(low) - len(tail)] if tail else low
            plain = core in usual or core.isdigit() or len(core) < SHORTEST["nick"]
            if core in names.stand and not plain:
                return names.stand[core] + tail
        is_cut = len(low) >= SHORTEST["cut"] and low.isalpha() and low not in said
        return (names.begins_with(low) if is_cut else "") or word

    text = " ".join(re.sub(NICK, replaced, text).split())
    return re.sub(r"(?i)\b(actionparsnio|daniel|willie)\b", "<name>", text)  # found by eye


def rows_of(
    log: Log, words: tuple[set[str], set[str]], groups: Mapping[tuple[str, int], str]
) -> Iterator[Row]:
    """Yield the labelled messages of a log but for those of bots."""
    names, day = Names(log.lines), datetime.strptime(log.name[:10], "%Y-%m-%d")  # noqa: DTZ007  without a zone
    last = day.replace(hour=int(log.name[11:13]))  # a log's name holds its hour
    for number, line in enumerate(log.lines):
        found = SAYS.match(line) or DOES.match(line)
        if number < ANNOTATED or not found or (log.name, number) not in groups:
            continue
        time = day.replace(hour=int(found[1]), minute=int(found[2]))
        while time < last - timedelta(minutes=5):  # some logs have a clock of 12 hours without am and pm
            time += timedelta(hours=12)
        last = max(last, time)
        action = "bot_command" if found[4].startswith("!") else "message" if SAYS.match(line) else "emote"
        text = cleaned(found[4], names, words)
        if not BOT.match(found[3]):
            yield Row(log.name, names.of(found[3]), last, action, text, groups[log.name, number])


def drawn(root: Path) -> list[tuple[str, Row]]:
    """Return the users' rows in order of time; of equal ones the first."""
    logs, groups = list(logs_of(root)), groups_of_messages(root)
    words = common_words(logs)
    per = defaultdict[tuple[str, str], list[Row]](list)
    for log in logs:
        for row in rows_of(log, words, groups):
            per[row.log, row.speaker].append(row)
    several = [each for each in per if len({row.group for row in per[each]}) > 1]
    most = sorted(several, key=lambda each: (-len(per[each]), each))[:SPEAKERS]
    fit = [each for each in sorted(most) if len(per[each]) >= LEAST]
    random.Random(SEED).shuffle(fit)
    chosen = {each: f"s{number:02}" for number, each in enumerate(sorted(fit[:USERS]), 1)}
    rows = [(user, row) for each, user in chosen.items() for row in per[each]]
    kept = dict[tuple[object, ...], tuple[str, Row]]()
    for user, row in sorted(rows, key=lambda pair: pair[1].time):
        kept.setdefault((user, row.time, row.action, row.text), (user, row))
    return list(kept.values())


def written(root: Path, folder: Path) -> tuple[Path, Path]:
    """Write the export and its labels."""
    rows = drawn(root)
    sizes = Counter((user, row.group) for user, row in rows)
    export, gold = folder / "irc.jsonl", folder / "irc_gold.csv"
    with export.open("w", encoding="utf-8") as file, gold.open("w", encoding="utf-8", newline="") as labels:
        table = csv.writer(labels, lineterminator="\n")
        table.writerow(("user_id", "line", "group", "label", "parent", "kind"))
        for line, (user, row) in enumerate(rows, 1):
            fields = {"user_id": user, "timestamp": f"{row.time}", "action": row.action, "item": row.text}
            file.write(json.dumps(fields, ensure_ascii=False) + "\n")
            kind = "undertaking" if sizes[user, row.group] > 1 else ""
            table.writerow((user, line, row.group, "conversation", "", kind))
    return export, gold


def by_addressee(rows: Sequence[Mapping[str, Any]], groups: Sequence[str]) -> float:
    """Return the pair F1 of a trivial program: a message belongs to the last name that its speaker has addressed."""
    users, last = defaultdict[str, list[tuple[str, str]]](list), dict[str, str]()
    for row, group in zip(rows, groups, strict=True):
        if found := re.match(r"\W*(n\d+)\b", row["item"]):
            last[row["user_id"]] = found[1]
        users[row["user_id"]].append((last.get(row["user_id"], ""), group))
    pairs = [(a[0] == b[0], a[1] == b[1]) for own in users.values() for a, b in combinations(own, 2)]
    both = sum(found and wanted for found, wanted in pairs)
    return 2 * both / sum(found + wanted for found, wanted in pairs)


def main() -> None:
    """Write the set, and print the tables of the answers that are kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path)
    parser.add_argument("folder", type=Path, help="where the set and the runs of the answers go")
    given = parser.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    export, gold = written(given.checkout, folder)
    rows = list(map(json.loads, export.read_text("utf-8").splitlines()))
    groups = [row["group"] for row in csv.DictReader(gold.open(encoding="utf-8"))]
    print(
        f"{len(rows)} rows; by the last name that was addressed: pair F1 {by_addressee(rows, groups):.3f}\n"
    )
    for version, guidance in (("now", ""), ("guided", GUIDANCE)):
        os.environ["EVENTABS_PROMPT__GUIDANCE"] = guidance
        place = folder / version
        place.mkdir(exist_ok=True)
        print(*answers_table(version, evaluate(answered(export, place, ANSWERS / version), gold)), sep="\n")


if __name__ == "__main__":
    main()
