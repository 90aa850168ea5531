import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from eventabs.errors_and_exit_codes import StorageError
from eventabs.store.ledger import Ledger, LedgerWriter
from runs_kit import new_ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = new_ledger(tmp_path)
    yield ledger
    ledger.close()


def keep(**values: object) -> Callable[[Ledger], None]:
    return partial(Ledger.set_meta, values=values)


def count_commits(ledger: Ledger) -> list[str]:
    """Hear every statement that the connection runs."""
    heard: list[str] = []
    ledger._db.set_trace_callback(lambda sql: heard.append(sql) if sql == "COMMIT" else None)
    return heard


async def hold(journal: LedgerWriter, until: threading.Event) -> asyncio.Task[bool]:
    """Keep the ledger's thread busy, so that what comes now has to wait."""
    busy = threading.Event()

    def wait(_ledger: Ledger) -> bool:
        busy.set()
        return until.wait(5)

    task = asyncio.create_task(journal.write(wait))
    await asyncio.to_thread(busy.wait, 5)
    return task


async def test_a_write_gives_back_what_its_task_returned_once_it_is_kept(ledger: Ledger) -> None:
    with LedgerWriter(ledger) as journal:
        await journal.write(keep(a=1))
        assert await journal.write(Ledger.meta) == {"a": 1}
    assert ledger.meta() == {"a": 1}


async def test_what_has_gathered_is_committed_together(ledger: Ledger) -> None:
    free = threading.Event()
    with LedgerWriter(ledger) as journal:
        first = await hold(journal, free)
        waiting = [asyncio.create_task(journal.write(keep(**{str(n): n}))) for n in range(50)]
        await asyncio.sleep(0)
        commits = count_commits(ledger)
        free.set()
        await asyncio.gather(first, *waiting)
    assert len(commits) == 2  # the one that was on its way, and one for all the rest
    assert len(ledger.meta()) == 50


async def test_writes_happen_in_the_order_in_which_they_were_asked_for(ledger: Ledger) -> None:
    with LedgerWriter(ledger) as journal:
        await asyncio.gather(*(journal.write(keep(last=n)) for n in range(600)))
    assert ledger.meta() == {"last": 599}


async def test_the_error_of_a_task_reaches_its_own_caller_and_nobody_else(ledger: Ledger) -> None:
    free = threading.Event()

    def fail(db: Ledger) -> None:
        db.set_meta({"half": True})
        raise ZeroDivisionError

    with LedgerWriter(ledger) as journal:
        first = await hold(journal, free)
        tasks: list[Any] = [keep(a=1), fail, keep(b=2)]
        waiting = [asyncio.create_task(journal.write(task)) for task in tasks]
        await asyncio.sleep(0)
        free.set()
        await first
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), ZeroDivisionError, type(None)]
    assert ledger.meta() == {"a": 1, "b": 2}


async def test_a_disk_that_refuses_is_told_to_everybody_and_the_journal_lives_on(ledger: Ledger) -> None:
    ledger.rows("PRAGMA query_only = ON")
    with LedgerWriter(ledger) as journal:
        writes = [journal.write(keep(**{str(n): n})) for n in range(3)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert [type(result) for result in results] == [StorageError] * 3
        ledger.rows("PRAGMA query_only = OFF")
        await journal.write(keep(later=1))
    assert ledger.meta() == {"later": 1}


async def test_a_write_is_kept_although_its_caller_was_cancelled(ledger: Ledger) -> None:
    noise: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: noise.append(context))
    free = threading.Event()
    with LedgerWriter(ledger) as journal:
        first = await hold(journal, free)
        write = asyncio.create_task(journal.write(keep(paid=True)))
        await asyncio.sleep(0)
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await write
        free.set()
        await first
    await asyncio.sleep(0)
    assert ledger.meta() == {"paid": True}
    assert noise == []


async def test_what_is_posted_is_kept_in_order_and_nobody_waits_for_it(ledger: Ledger) -> None:
    with LedgerWriter(ledger) as journal:
        for number in range(3):
            journal.post(lambda db, number=number: db.set_meta({"latest": number}))  # type: ignore[misc]
        assert await journal.write(Ledger.meta) == {"latest": 2}


async def test_the_failure_of_what_is_posted_makes_no_noise_and_harms_nobody(ledger: Ledger) -> None:
    noise: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: noise.append(context))
    with LedgerWriter(ledger) as journal:
        journal.post(lambda db: db.rows("no SQL"))  # type: ignore[arg-type]
        await journal.write(keep(paid=True))
    await asyncio.sleep(0)
    gc.collect()
    assert (ledger.meta(), noise) == ({"paid": True}, [])


async def test_leaving_waits_for_what_was_asked_for(ledger: Ledger) -> None:
    with LedgerWriter(ledger) as journal:
        writes = [asyncio.create_task(journal.write(keep(**{str(n): n}))) for n in range(400)]
        await asyncio.sleep(0)
    assert len(ledger.meta()) == 400
    await asyncio.gather(*writes)
