"""The report: one HTML file that needs nothing else, made from the facts of a run.

Users, calls and counts are in the page compressed, as rows of columns; times are seconds, coded as differences. A chunk numbers its own
texts, so that a page of any size is written with one chunk in memory. The page forbids itself every connection, and every style and script
but its own, which are named by their hashes.
"""

import base64
import hashlib
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from itertools import chain, islice, pairwise
from math import fsum
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from eventabs import __version__, interface_language as language, store
from eventabs.errors_and_exit_codes import StorageError, UsageError
from eventabs.inspection import Table, TokenUse, compactor_of, failures, stored_calls
from eventabs.interface_language import gettext as _, ngettext
from eventabs.prompts import Compactor, TokenCounter
from eventabs.runs import RunState
from eventabs.shared_records import Behavior, Counts, UserLog
from eventabs.store import Ledger, Made, UserRow
from eventabs.views import words_and_figures as messages
from eventabs.views.output_streams import one_line, picked, rounded
from eventabs.views.words_and_figures import count


class Sums:
    """What all users have, also those that the page does not keep. Those by user count a user once for each thing."""

    def __init__(self, goal: str) -> None:
        self.goal = goal
        self.types, self.type_users, self.category_users = Counter[str](), Counter[str](), Counter[str]()
        # of journeys
        self.kinds, self.kind_users, self.kind_converted = Counter[str](), Counter[str](), Counter[str]()
        self.goal_types = set[str]()

    def add(self, user: Made) -> None:
        """Count what was made of a user."""
        self.types.update(event["type"] for event in user.events)
        self.type_users.update({event["type"] for event in user.events})
        self.category_users.update({event["category"] for event in user.events})
        self.goal_types.update(event["type"] for event in user.events if event["category"] == self.goal)
        self.kinds.update(journey["kind"] for journey in user.journeys)
        self.kind_users.update({journey["kind"] for journey in user.journeys})
        self.kind_converted.update(each["kind"] for each in user.journeys if each["converted"])

    def figures(self, counts: Counts) -> dict[str, Any]:
        """Return the sums as the page shows them."""
        types = messages.most_frequent(self.types)
        names = types[:MOST_SUMMED] + [each for each in types[MOST_SUMMED:] if each[0] in self.goal_types]
        return {
            **picked("users failed behaviors unplaced events unsure journeys", counts),
            "converted": self.kind_converted.total(),
            "reached": self.category_users[self.goal],
            "types": [(shown(name), number, self.type_users[name]) for name, number in names],
            "kinds": [
                (shown(kind), number, self.kind_users[kind], self.kind_converted[kind])
                for kind, number in messages.most_frequent(self.kinds)[:MOST_SUMMED]
            ],
        }


def places_of(behaviors: Iterable[Behavior]) -> tuple[set[str], set[str]]:
    """Return where a user was: what is visited or used, or named as the place of something; and what may be a place."""
    where = {b.item if b.action in ("visit", "use") else b.place for b in behaviors} - {""}
    # a row whose only object is a place has it as its thing: it is one if another row, of any user, says so
    things = {b.item for b in behaviors if not (b.place or b.in_own_words or b.action == "search")}
    return where, things - where - {""}


def _number(known: dict[Any, int], thing: object) -> int:
    """Return the number of a thing, in the order of their first use."""
    return known.setdefault(thing, len(known))


class PackedUsers:
    """Users that are kept for the page. `users` is the index, a column for each fact."""

    def __init__(self, compactor: Compactor) -> None:
        self._compactor = compactor
        self.chunks: list[bytes] = []
        self.bytes = 0  # of all chunks
        self.numbers: dict[str, int] = {}  # of users, by id
        self.users: dict[str, list[Any]] = defaultdict(list)
        self.offsets: set[str] = set()  # from UTC, as the logs have them
        self._kinds: dict[tuple[str, str], int] = {}  # numbers, by type and category
        self._reasons: dict[str, int] = {"": 0}
        self._columns: dict[str, int] = {}  # of profiles
        # of the chunk that is not closed
        self._records: list[list[Any]] = []
        self._size = 0  # behaviors and events
        self._names, self._summaries = {"": 0}, {"": 0}  # numbers of texts

    def add(self, row: UserRow, made: Made, log: UserLog, *, is_drawn: bool = True) -> None:
        """Keep a user; one that is not drawn is beside the sample, and counted nowhere."""
        behaviors = log.behaviors
        self.numbers[row.user_id] = len(self.numbers)
        self.offsets |= log.offsets
        kinds = [_number(self._kinds, (event["type"], event["category"])) for event in made.events]
        values = {
            "beside": int(not is_drawn),
            "id": shown(row.user_id),
            "state": ("done", "failed", "pending").index(row.state),
            "reason": _number(self._reasons, row.reason or ""),
            "profile": {_number(self._columns, column): shown(value) for column, value in log.profile},
            "behaviors": len(behaviors),
            **{name: len(getattr(made, name)) for name in ("events", "journeys", "minor", "unplaced")},
            "first": seconds_of(behaviors[0].start) if behaviors else None,
            "last": seconds_of(behaviors[-1].start) if behaviors else None,
            "kinds": sorted(set(kinds)),
            "chunk": len(self.chunks),
        }
        for name, value in values.items():
            self.users[name].append(value)
        self._records.append(self._record(made, log, kinds))
        self._size += len(behaviors) + len(made.events)
        if self._size > _CHUNK_BEHAVIORS:
            self.close_chunk()

    def _record(self, made: Made, log: UserLog, kinds: list[int]) -> list[Any]:
        behaviors, events = log.behaviors, made.events
        times = [seconds_of(behavior.start) for behavior in behaviors]
        base = times[0] if times else 0
        # the number of each behavior's event from 1; below: why it has none
        owners = dict.fromkeys(range(len(times)), 0)
        for state, indices in enumerate((made.minor, made.unplaced, made.unasked), 1):
            owners |= dict.fromkeys(indices, -state)
        for number, event in enumerate(events, 1):
            owners |= dict.fromkeys(event["behaviors"], number)
        numbers = {journey["id"]: number for number, journey in enumerate(made.journeys, 1)}
        # 1: the model was not sure of it, 2: it is outside the vocabulary; above both its source
        flags = [
            (not e["sure"]) + 2 * bool(e.get("outside")) + 4 * ("llm", "rules", "must").index(e["source"])
            for e in events
        ]
        return [
            base,
            differences(times, base),
            [_number(self._names, phrase) for phrase in self._compactor.phrases(log)],
            [behavior.duration or 0 for behavior in behaviors],
            differences(owners.values(), 0),
            kinds,
            [self._summary(event["summary"]) for event in events],
            flags,
            [numbers.get(event["journey"], 0) for event in events],
            [(shown(j["kind"]), shown(j["name"]), j["days"], int(j["converted"])) for j in made.journeys],
            differences((behavior.line for behavior in behaviors), 0),
            [behavior.file for behavior in behaviors] if any(b.file for b in behaviors) else [],
            *([_number(self._names, place) for place in sorted(places)] for places in places_of(behaviors)),
            {at: shown(one.text) for at, one in enumerate(behaviors) if one.text not in ("", one.item)},
        ]

    def _summary(self, text: str) -> int:
        """Return the number of a summary, -1 for one that is new: most are."""
        known = len(self._summaries)
        number = _number(self._summaries, text)
        return -1 if number == known else number

    def close_chunk(self) -> None:
        """Compress what has been added since the last time."""
        if self._records:
            names, summaries = list(map(shown, self._names)), list(map(shown, self._summaries))
            self.chunks.append(packed({"names": names, "texts": summaries, "users": self._records}))
            self.bytes += len(self.chunks[-1])
            self._records, self._size, self._names, self._summaries = [], 0, {"": 0}, {"": 0}

    def index(self) -> dict[str, Any]:
        """Return what is known of the users without opening a chunk."""
        return {
            "users": self.users,
            "reasons": list(map(messages.in_words, self._reasons)),
            "kinds": [(shown(kind), shown(category)) for kind, category in self._kinds],
            "columns": list(map(shown, self._columns)),
        }


def packed(value: object) -> bytes:
    """Return JSON, deflated; the browser inflates it. Lone surrogates cannot occur: texts are escaped."""
    # at level 6: higher ones cost twice the time for 1 %
    return zlib.compress(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS), 6)


def seconds_of(moment: datetime) -> int:
    """Return seconds of wall time since 1970."""
    days = moment.toordinal() - 719_163  # the number of 1970-01-01
    return days * 86_400 + moment.hour * 3_600 + moment.minute * 60 + moment.second


def differences(numbers: Iterable[int], base: int) -> list[int]:
    """Return each number less the one before it, the first less `base`."""
    return [after - before for before, after in pairwise((base, *numbers))]


def shown(text: str) -> str:
    """Make control and bidi characters visible, and cut what no page can show."""
    return one_line(text[:300])


MOST_TEXT_BYTES: Final = 4_000_000  # of all texts, compressed
_CHUNK_BEHAVIORS, _CHUNK_CHARACTERS = 20_000, 600_000  # of users, of calls: after which a chunk is closed


class PackedCalls:
    """The calls of a run: `size` of them, and what their tokens were for. Of those whose replies were good texts may be `left_out`."""

    def __init__(self, ledger: Ledger, run: RunState, numbers: Mapping[str, int], zone: ZoneInfo) -> None:
        self.chunks: list[bytes] = []
        ((begin,),) = ledger.rows("SELECT coalesce(min(sent_at), 0) FROM calls")
        noted = ledger.rows("SELECT at, wait_seconds, cause FROM retries ORDER BY at, call_id")
        retries = [(round(at - begin, 2), wait, cause == "rate_limit") for at, wait, cause in noted]
        # most calls have the instructions of the last one
        tokenizer = store.settings_in_force(ledger.meta())["prompt"]["tokenizer"]
        count = lru_cache(maxsize=1)(TokenCounter(tokenizer).count)
        same = "id attempt status usable prompt_tokens cached_tokens completion_tokens reasoning_tokens"
        figures, uses = list[dict[str, Any]](), []
        for call in stored_calls(ledger):
            asked = {numbers.get(part.user_id, -1) for part in call.asked.values()}
            tokens = call.prompt_tokens, call.completion_tokens, call.cached_tokens
            of_call = {
                **picked(same, call),
                "users": len(call.asked),
                "cost": run.endpoint.price.cost(*tokens, call.tier or ""),
                "finish": shown(call.finish_reason or ""),
                "tier": shown(call.tier or ""),
                "seconds": rounded(call.seconds, 1),
                "sent": seconds_of(datetime.fromtimestamp(round(call.sent_at), zone)),
                "from": round(call.sent_at - begin, 2),
                "to": round((call.ended_at or call.sent_at) - begin, 2),
                "who": sorted(asked - {-1}),
                "chunk": -1,
                "place": 0,
            }
            figures.append(of_call)
            uses.append(call.use(count))
        self.use = TokenUse(*map(fsum, zip(*uses, strict=True)))
        self.size = self.left_out = len(uses)
        self._pack(ledger, figures, numbers)
        names = figures[0] if figures else ()
        # a column for each figure, and the calls that were sent again
        self.index = {"retries": retries, **{name: [each[name] for each in figures] for name in names}}

    def _pack(self, ledger: Ledger, figures: list[dict[str, Any]], numbers: Mapping[str, int]) -> None:
        """Compress the texts of calls, bad replies first, and write into their figures where they are."""
        calls, characters = list[list[Any]](), 0
        known: dict[str, int] = {}  # numbers of texts; the instructions, equal in all calls, are written once
        in_order = sorted(figures, key=lambda each: (each["usable"] >= each["users"], each["id"]))
        for each in in_order:
            if sum(map(len, self.chunks)) > MOST_TEXT_BYTES:
                break
            each |= {"chunk": len(self.chunks), "place": len(calls)}
            self.left_out -= 1
            (call,) = stored_calls(ledger, "id = ?", each["id"])
            users = []
            for alias, part in call.asked.items():
                told = messages.in_words(call.brought.get(alias, ""))
                users.append((alias, shown(part.user_id), numbers.get(part.user_id, -1), told))
            ends = (call.reply, call.reasoning, call.error or "")
            texts = {*(message["content"] for message in call.messages), *ends}
            characters += sum(map(len, texts - known.keys()))
            sent = [(message["role"], _number(known, message["content"])) for message in call.messages]
            calls.append([sent, *(_number(known, text) for text in ends), users])
            if characters > _CHUNK_CHARACTERS or each is in_order[-1]:
                visible = [visible_lines(text[:400_000]) for text in known]  # characters
                self.chunks.append(packed({"texts": visible, "calls": calls}))
                calls, known, characters = [], {}, 0


def visible_lines(text: str) -> str:
    """Return a text of many lines with every control and bidi character made visible."""
    return "\n".join(one_line(line.rstrip("\r").replace("\t", "    ")) for line in text.split("\n"))


def zone_note(timezone: str, offsets: Collection[str]) -> str:
    """Say of which zone the times of behaviors and events are: the one of the settings, or what the export has."""
    if len(offsets) > 1 and not timezone:
        return _("times: as in the export, each with its own offset from UTC")
    if zone := timezone or "".join(offsets):
        return _("times: {zone}").format(zone=one_line(zone))
    return _("times: as in the export, which names no zone")


NAME: Final = "report.html"
MOST_SUMMED: Final = 40  # types, and kinds of journeys
HUES: Final = 10
MOST_COLORS: Final = 30  # of types: each hue plain, hatched and dotted
MOST_USERS: Final = 20_000  # whose timelines are in a page
MOST_LOG_BYTES: Final = 24_000_000  # of them, compressed
_MOST_FAILED: Final = 2_000  # of users that are kept beside a sample because they failed
_ERRORS: Final = """SELECT coalesce(error, ''), count(*) FROM calls WHERE status = 'failed'
    GROUP BY error ORDER BY 2 DESC, 1 LIMIT 10"""
_RETRIES: Final = "SELECT cause, count(*), max(wait_seconds) FROM retries GROUP BY cause ORDER BY 2 DESC, 1"
_SAID: Final = re.compile(r"""\b_\(("(?:[^"\\]|\\.)*")\)""")  # a message in a script
_HERE: Final = "<!--data-->"  # no text from data holds it: < is escaped


def render_report(
    ledger: Ledger, run: RunState, quality: Iterable[Table]
) -> tuple[Iterator[bytes], list[str]]:
    """Return the page of a run in pieces, and what its reader should know of what it leaves out."""
    meta, endpoint, total = ledger.meta(), run.endpoint, run.users
    settings = store.settings_in_force(meta)
    goal, timezone = store.goal_of(settings), settings.get("input", {}).get("timezone", "")
    sums, users, beside = Sums(goal), PackedUsers(compactor_of(meta)), 0
    ((logged_bytes,),) = ledger.rows("SELECT coalesce(sum(length(log)), 0) FROM users")
    # the share of users that a page keeps, drawn by their ids; with the events a byte of a stored log takes 0.6 bytes at most
    part = min(1.0, MOST_USERS / max(1, total), MOST_LOG_BYTES / max(1.0, logged_bytes * 0.6))
    query = "SELECT * FROM user_states WHERE user_id > ? AND state IS NOT NULL"
    for row in map(UserRow._make, ledger.by_user(query)):
        made = store.made_of(ledger, row.user_id)
        sums.add(made)
        lot = zlib.crc32(row.user_id.encode("utf-8", "surrogatepass"))
        is_drawn = users.bytes <= MOST_LOG_BYTES and lot < part * 2**32
        is_listed = not is_drawn and row.state == "failed" and beside < _MOST_FAILED
        beside += is_listed
        if is_drawn or is_listed:
            users.add(row, made, ledger.log(row.user_id), is_drawn=is_drawn)
    users.close_chunk()
    zone = ZoneInfo("UTC")  # of the times of calls, where the run names none that this machine knows
    with suppress(ValueError, OSError, ZoneInfoNotFoundError):
        zone = ZoneInfo(timezone or "UTC")
    calls = PackedCalls(ledger, run, users.numbers, zone)
    kept = len(users.numbers) - beside
    notes = {"users": "", "calls": ""}  # what the page leaves out
    if kept < total:
        message = _(
            "{kept} of {users} are in the page, drawn by their ids, so that shares are near those of all. The overview"
            " counts all users while no filter is set, everything else these; {failed} more that failed are listed only"
            " where the state is failed. See any user with: eventabs show"
        )
        notes["users"] = message.format(kept=count(kept), users=messages.users(total), failed=count(beside))
    if calls.left_out:
        message = _(
            "Prompts and replies of {kept} of {calls} calls are in the report, those with bad replies first; see the"
            " others with: eventabs show CHECKPOINT USER_ID --raw"
        )
        notes["calls"] = message.format(kept=count(calls.size - calls.left_out), calls=count(calls.size))
    figures = sums.figures(run)
    taken = settings.get("profiles", {}).get("columns", ())
    left = meta.get("input", {}).get("profile_left", [])
    inputs = [Path(path).name for path in meta["paths"]]
    scripts = "elements data address groups charts overview timeline user sortable_table users_and_events calls main"
    page = render_page(
        "report/page.html.j2",
        [f"report/{name}.css" for name in ("page", "timeline", "charts", "print")],
        [f"report/{name}.js" for name in scripts.split()],
        here=Markup(_HERE),  # noqa: S704  our own mark
        run=run,
        inputs=inputs,
        goal=goal,
        failures=list(failures(ledger)),
        call_errors=ledger.rows(_ERRORS),
        calls=calls,
        figures=figures,
        times=zone_note(timezone, users.offsets),
        begun=f"{datetime.fromisoformat(run.created_at).astimezone(zone):%Y-%m-%d %H:%M} {zone}",
        notes=notes,
        # columns of the profiles that no filter has, and the setting that takes them
        unused_columns=left
        and (", ".join(map(shown, left)), f"columns = {orjson.dumps([*taken, *left]).decode()}"),
        quality=list(quality),
        retries=ledger.rows(_RETRIES),
        tiers=list(messages.tiers(run, run.tier_costs, endpoint.currency)),
    )
    index = users.index() | {
        "colors": colors_of([shown(kind) for kind, _number in messages.most_frequent(sums.types)]),
        "files": [shown(Path(name).name) for name in meta.get("files", [])],
        "goal": shown(goal),
        "currency": shown(endpoint.currency) if run.paid is not None else "",
        "name": shown(inputs[0].rpartition(".")[0] or inputs[0]) if inputs else "",
        "categories": {shown(name): shown(messages.category(name)) for name in sorted(sums.category_users)},
        "provider": endpoint.provider,
        "zone": str(zone),
        "sums": figures,
    }
    blocks = {
        "index": packed(index),
        **{f"users-{number}": chunk for number, chunk in enumerate(users.chunks)},
        "calls": packed(calls.index),
        **{f"texts-{number}": chunk for number, chunk in enumerate(calls.chunks)},
    }
    head, tail = (half.encode("utf-8", "replace") for half in page.split(_HERE))
    data_blocks = (
        b'<script type="text/plain" id="data-%s">%s</script>\n' % (name.encode(), base64.b64encode(data))
        for name, data in blocks.items()
    )
    return chain([head], data_blocks, [tail]), list(filter(None, notes.values()))


def render_page(name: str, styles: Sequence[str], scripts: Sequence[str], **values: object) -> str:
    """Return the page of a template; `styles` are files that follow the style of all pages."""
    # k: of shapes and text, f: behind text; base.html.j2 has the patterns
    colors = "".join(
        f".k{n}{{fill:{f'url(#p{n})' if n >= HUES else f'var(--k{n})'};--k:var(--k{n % HUES});--f:var(--f{n % HUES})}}\n"
        for n in range(MOST_COLORS)
    )
    style, script = colors + "".join(map(_part, ("style.css", *styles))), "".join(map(_part, scripts))
    script = f'"use strict";\n(() => {{\n{script}}})();\n'  # the files share one scope; what they say is looked up here
    script = _SAID.sub(lambda said: orjson.dumps(_(orjson.loads(said[1]))).decode(), script)
    values |= {
        "lang": {"en": "en", "zh": "zh-Hans"}[language.active()],
        "version": __version__,
        "style": Markup(style),  # noqa: S704  our own file
        "script": Markup(script),  # noqa: S704  our own file
        "hues": HUES,
    }
    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(_part),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"_": _, "ngettext": ngettext, "zip": zip}
    named = "average behaviors count duration event_facts in_words limited listed money rows share"
    environment.filters |= {name: getattr(messages, name) for name in named.split()} | {
        "category": lambda name: one_line(messages.category(name)),
        "cell": messages.written,
        "digest": lambda text: f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}",
        "lines": visible_lines,
        "one_line": one_line,
        "short": _short,
    }
    return environment.get_template(name).render(values)


def write_report(page: str | Iterable[bytes], path: Path) -> None:
    """Write the page, for its owner only. Raises UsageError, also for a file that is there and no page."""
    try:
        is_other = path.exists()
        if path.is_file():  # reading a pipe would wait for a writer
            with path.open("rb") as file:
                is_other = b'<meta name="generator" content="eventabs ' not in file.read(1_000)
        if is_other:
            message = _("{path} exists and is no report; name another file with --output")
            raise UsageError(message.format(path=path))
        store.replace_file(path, [page.encode("utf-8", "replace")] if isinstance(page, str) else page)
    except (OSError, StorageError) as error:
        cause = error.__cause__ or error  # a StorageError names the next step of a run; a report is none
        message = _("{path} cannot be written ({error}); name another file with --output")
        raise UsageError(message.format(path=path, error=getattr(cause, "strerror", None) or cause)) from None


def colors_of(names: Iterable[str]) -> dict[str, str]:
    """Return the class of the color and pattern of types, the most frequent first; those beyond MOST_COLORS have none."""
    # the hue hangs on the name alone, so that a type has the same on every page; of types with the same hue the first is
    # plain, the next ones are hatched and dotted, and those after that take what is free
    free = list(range(MOST_COLORS))
    taken: dict[str, str] = {}
    for name in islice(names, MOST_COLORS):
        hue = zlib.crc32(name.encode("utf-8", "surrogatepass")) % HUES
        place = next((each for each in free if each % HUES == hue), free[0])
        free.remove(place)
        taken[name] = f"k{place}"
    return taken


def _short(number: int) -> str:
    """Return 2774382 as 2.77 M."""
    for size, unit, sign in ((10**9, 10**9, "G"), (10**6, 10**6, "M"), (10**4, 10**3, "k")):
        if number >= size:
            return f"{number / unit:.3g} {sign}"
    return count(number)


def _part(name: str) -> str:
    """Return one of our files: those without a folder are shared by all pages."""
    return Path(__file__).parent.joinpath("assets", name).read_text("utf-8")
