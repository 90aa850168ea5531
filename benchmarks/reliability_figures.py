"""The figures of a run, each with its target where there is one. Their meaning: docs/benchmarks.md."""

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from reliability_records import Run, ended
from simulated_model import MINUTE

MOST_WASTED = 0.25  # of the useful completion tokens
MOST_OVER_SCHEDULE = 1.05
LEAST_OF_LIMIT = 0.95


class Figure(NamedTuple):
    """A line of the table. `is_met` is None where there is no target."""

    name: str
    value: str
    target: str = ""
    is_met: bool | None = None


def table(found: Sequence[Figure]) -> str:
    """Return the figures as text."""
    words = {None: "", True: "met", False: "MISSED"}
    width = max(len(figure.name) for figure in found)
    shown = max(len(figure.value) for figure in found)
    return "\n".join(
        f"{f.name:<{width}}  {f.value:<{shown}}  {f.target:<12} {words[f.is_met]}".rstrip() for f in found
    )


def endings(run: Run, code: int, errors: str) -> list[Figure]:
    """Say how the users ended."""
    states = Counter(run.users.values())
    reasons = Counter(run.failures.values())
    lost = len(run.users) - states["done"]
    found = [
        Figure("users done", f"{states['done']} of {len(run.users)}", "all", lost == 0),
        Figure("users failed", ", ".join(f"{n} {reason}" for reason, n in reasons.most_common()) or "0"),
        Figure("exit code", str(code), "0", code == 0),
    ]
    return [*found, Figure(f"said: {errors.splitlines()[0] if errors else ''}", "")] if code else found


def calls(run: Run) -> list[Figure]:
    """Say what the endpoint served, and how much of what went bad could be read nevertheless."""
    kinds = Counter(served["kind"] for served in run.log)
    asked: Counter[str] = Counter()
    read: Counter[str] = Counter()
    for served in run.log:
        if (call := run.matched.get(served["number"])) is not None and served["kind"] != "well":
            kind = ": ".join(filter(None, (served["kind"], served["detail"])))
            asked[kind] += len(call.parts)
            read[kind] += len(call.kept)
    statuses = Counter(call.status for call in run.calls)
    return [
        Figure("requests", str(len(run.log))),
        *(Figure(f"  {kind}", f"{n}, {n / len(run.log):.0%}") for kind, n in kinds.most_common()),
        Figure("calls in the ledger", ", ".join(f"{n} {status}" for status, n in statuses.most_common())),
        Figure("requests not in the ledger", str(run.unlisted), "0", run.unlisted == 0),
        *(Figure(f"  users read of {kind}", f"{read[kind]} of {n}") for kind, n in sorted(asked.items())),
    ]


def tokens(run: Run) -> list[Figure]:
    """Say how many completion tokens were useful; a call's count in the share of its answered users that were kept."""
    useful = 0.0
    by_kind: dict[str, float] = defaultdict(float)
    for served in run.log:
        call = run.matched.get(served["number"])
        told = served["answered"]
        kept = sum(n for alias, n in told.items() if call and alias in call.kept)
        share = kept / sum(told.values()) if kept else 0.0
        useful += served["completion_tokens"] * share
        by_kind[served["kind"]] += served["completion_tokens"] * (1 - share)
    total = sum(served["completion_tokens"] for served in run.log)
    wasted = total - useful
    again = run.bought_again + run.usable_twice
    share = wasted / useful if useful else float("inf")
    return [
        Figure("completion tokens", f"{total:,}"),
        Figure("  useful", f"{useful:,.0f}"),
        Figure(
            "  wasted, of the useful",
            f"{wasted:,.0f}, {share:.1%}",
            f"<= {MOST_WASTED:.0%}",
            share <= MOST_WASTED,
        ),
        *(
            Figure(f"    {kind}", f"{n:,.0f}")
            for kind, n in sorted(by_kind.items(), key=lambda k: -k[1])
            if n
        ),
        Figure("usable answers bought again", str(again), "0", again == 0),
    ]


def purity(run: Run, calm: Run) -> list[Figure]:
    """Say whose events differ from those of a run without failures."""
    theirs, others = _events_by_user(run), _events_by_user(calm)
    differing = sum(theirs[user] != others[user] for user in theirs)
    return [Figure("users whose events differ from a clean run's", str(differing))]


def walls(run: Run, workers: int, process_seconds: float, *, is_target: bool) -> list[Figure]:
    """Compare the wall time with the longest-first schedule of the same service times."""
    schedule = longest_first((served["seconds"] for served in run.log), workers)
    ratio = run.calls_seconds / schedule
    target = (f"<= {MOST_OVER_SCHEDULE}", ratio <= MOST_OVER_SCHEDULE) if is_target else ("", None)
    return [
        Figure(
            f"wall, first request to last answer, of longest-first on {workers}",
            f"{run.calls_seconds:.2f} s of {schedule:.2f} s, {ratio:.3f}",
            *target,
        ),
        Figure("  whole process", f"{process_seconds:.2f} s"),
    ]


def limits(run: Run, limit: int) -> list[Figure]:
    """Say whether what the endpoint asked for was heeded, and how much of its limit was used."""
    forbidden = sum(served["forbidden"] for served in run.log)
    found = [Figure("requests inside a forbidden window", str(forbidden), "0", forbidden == 0)]
    if limit:
        admitted = [served["time"] for served in run.log if served["status"] != 429]
        share = (len(admitted) - 1) / (admitted[-1] - admitted[0]) * MINUTE / limit
        found.append(
            Figure(
                "throughput, of the limit",
                f"{share:.1%}",
                f">= {LEAST_OF_LIMIT:.0%}",
                share >= LEAST_OF_LIMIT,
            )
        )
    return found


def kills(killed: Run, calm: Run, *, kills: int, asked: int, code: int, errors: str) -> list[Figure]:
    """Compare a run that was killed with one that was not."""
    statuses = Counter(call.status for call in killed.calls)
    again = killed.bought_again + killed.usable_twice
    equal = killed.events == calm.events
    theirs, others = _events_by_user(killed), _events_by_user(calm)
    differing = sum(theirs[user] != others[user] for user in {*theirs, *others})
    return [
        Figure("SIGKILLs", str(kills), str(asked), kills == asked),
        *endings(killed, code, errors),
        Figure("  requests", str(len(killed.log))),
        Figure("  calls in the ledger", ", ".join(f"{n} {status}" for status, n in statuses.most_common())),
        Figure(
            "  events.jsonl, compared with the undisturbed run's",
            "equal to the byte" if equal else f"{differing} users differ",
            "equal",
            equal,
        ),
        Figure("  stored usable answers asked for again", str(again), "0", again == 0),
        Figure("  requests not in the ledger", str(killed.unlisted), "0", killed.unlisted == 0),
    ]


def longest_first(seconds: Iterable[float], workers: int) -> float:
    """Return how long the longest-first schedule takes: each, longest first, goes to the first free worker."""
    free_at = [0.0] * workers
    for service in sorted(seconds, reverse=True):
        heapq.heapreplace(free_at, free_at[0] + service)
    return max(free_at)


def requests_a_second(log: Sequence[dict[str, float]]) -> float:
    """Return the requests a second of a log, from the first request to the last answer."""
    return len(log) / (max(map(ended, log)) - min(served["time"] for served in log))


def _events_by_user(run: Run) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = defaultdict(list)
    for line in run.events.splitlines():
        found[json.loads(line)["user_id"]].append(line)
    return found
