"""Many short calls at once: what the tool reaches, beside a bare loop over the same bodies and the same endpoint."""

import asyncio
import json
import sqlite3  # noqa: TID251 - the ledger as any other program reads it
import threading
import time
import zlib
from pathlib import Path

import httpx
from httpx_aiohttp import HttpxAiohttpClient

from reliability_bench import Bench
from reliability_figures import Figure, requests_a_second
from reliability_records import read_log

LEAST_OF_BARE = 0.7
MOST_GROWTH = 0.05  # of the memory, from half of the calls to the end
_PAGE_MB = 4096 / 1e6


def measure_throughput(bench: Bench, in_flight: int, answer_seconds: float) -> list[Figure]:
    """Run the tool, then the bare loop, each against an endpoint that answers after `answer_seconds`."""
    fast = {"first_token": answer_seconds, "prefill": 0, "decode": 0}
    with bench.endpoint("tool", **fast) as base_url:
        process = bench.start("tool", base_url)
        memory = _Memory(process.pid)
        said, errors = process.communicate()
        samples = memory.stop()
    assert process.returncode == 0, errors
    with bench.endpoint("bare", **fast) as base_url:
        asyncio.run(ask_all(base_url, bodies(bench.folder / "tool"), in_flight))
    log = read_log(bench.folder / "tool.jsonl")
    tool, bare = requests_a_second(log), requests_a_second(read_log(bench.folder / "bare.jsonl"))
    first, last = log[0]["time"], log[-1]["time"]
    calling = [mb for at, mb in samples if first <= at <= last]
    half, end = calling[len(calling) // 2], calling[-1]
    share = tool / bare
    return [
        Figure("calls, in flight", f"{len(log):,}, {in_flight}"),
        Figure("users done", f"{json.loads(said)['success_count']:,}"),
        Figure("tool, requests/s", f"{tool:,.0f}"),
        Figure("bare httpx loop, requests/s", f"{bare:,.0f}"),
        Figure("tool / bare", f"{share:.2f}", f">= {LEAST_OF_BARE}", share >= LEAST_OF_BARE),
        Figure(
            "memory at first call, half of the calls, last call",
            f"{calling[0]:.0f}, {half:.0f}, {end:.0f} MB",
            f"+ <= {MOST_GROWTH:.0%}",
            end <= half * (1 + MOST_GROWTH),
        ),
    ]


class _Memory:
    """Samples a process's resident memory (Linux) until told to stop."""

    def __init__(self, pid: int) -> None:
        self._statm = Path(f"/proc/{pid}/statm")
        self._samples: list[tuple[float, float]] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> list[tuple[float, float]]:
        """Return (seconds since 1970, MB)."""
        self._stopped.set()
        self._thread.join()
        return self._samples

    def _sample(self) -> None:
        while not self._stopped.wait(0.1):
            try:
                pages = int(self._statm.read_text().split()[1])
            except (OSError, IndexError):
                return
            self._samples.append((time.time(), pages * _PAGE_MB))


def bodies(out: Path) -> list[bytes]:
    """Return the bodies of the requests that a run has sent."""
    database = sqlite3.connect(f"file:{out / 'ledger.sqlite'}?mode=ro", uri=True)
    try:
        rows = database.execute("SELECT messages FROM calls").fetchall()
    finally:
        database.close()
    rest = {"model": "simulated", "stream": True, "stream_options": {"include_usage": True}}
    return [
        json.dumps({"messages": json.loads(zlib.decompress(blob)), **rest}, ensure_ascii=False).encode()
        for (blob,) in rows
    ]


async def ask_all(base_url: str, requests: list[bytes], in_flight: int) -> None:
    """Send all, some at once, and do nothing else: the yardstick."""
    waiting = iter(requests)
    limits = httpx.Limits(max_connections=in_flight)
    async with HttpxAiohttpClient(base_url=base_url, timeout=60, limits=limits) as client:

        async def work() -> None:
            for body in waiting:
                async with client.stream("POST", "/chat/completions", content=body) as response:
                    async for _ in response.aiter_raw():
                        pass

        await asyncio.gather(*(work() for _ in range(in_flight)))
