"""A headless Chromium, driven over its DevTools protocol."""
# ruff: noqa: ASYNC110, ASYNC240  one tab, one test: nothing else waits for the event loop

import asyncio
import base64
import itertools
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import pytest

BINARY = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
needed = pytest.mark.skipif(not BINARY, reason="there is no Chromium here: apt-get install chromium")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--remote-debugging-port=0"),
)
_PATIENCE = 30.0  # seconds


class Page:
    """One tab. `complaints` are its console errors, exceptions, blocked and failed requests."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._events: list[dict[str, Any]] = []

    async def do(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command and return its result; keep what happens meanwhile."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(_PATIENCE):
            while True:
                message = await self._socket.receive_json()
                if message.get("id") == number:
                    assert "error" not in message, message
                    result: dict[str, Any] = message["result"]
                    return result
                self._events.append(message)

    async def run(self, script: str) -> Any:  # noqa: ANN401  whatever the script gives
        """Evaluate a script; return its value."""
        done = await self.do("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until a script gives something true."""
        async with asyncio.timeout(_PATIENCE):
            while not await self.run(f"Boolean({script})"):
                await asyncio.sleep(0.02)

    async def click(self, selector: str) -> None:
        """Click on the middle of an element with the mouse, once it no longer moves."""
        x, y = await self.run(
            f"(async () => {{ const found = () => document.querySelector({json.dumps(selector)});"
            " found().scrollIntoView({ block: 'center', behavior: 'instant' });"
            " const middle = () => { const box = found().getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; };"
            " for (;;) { const before = String(middle()); await new Promise((done) => setTimeout(done, 100));"
            " if (before === String(middle())) return middle(); } })()"
        )
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            await self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def open(self, path: Path, fragment: str = "") -> None:
        """Load a file to its end."""
        await self.do("Page.navigate", url=path.resolve().as_uri() + fragment)
        async with asyncio.timeout(_PATIENCE):
            while await self.run("location.href") == "about:blank" or (
                await self.run("document.readyState") != "complete"
            ):
                await asyncio.sleep(0.02)

    async def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key and let it go."""
        for kind in ("keyDown" if text else "rawKeyDown", "keyUp"):
            await self.do("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, text=text)

    async def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """Set the size of the window."""
        await self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )

    async def picture(self, path: Path) -> None:
        """Write a PNG of what the window shows."""
        shot = await self.do("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        """Return everything that a person would find red in the console."""
        found = []
        for event in self._events:
            said = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown" or (
                event.get("method") == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning")
            ):
                found.append(str(said))
            if event.get("method") == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning"):
                found.append(str(said))
        return found

    def requests(self) -> list[str]:
        """Return all addresses that were asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self._events
            if event.get("method") == "Network.requestWillBeSent"
        ]


@cache
def _started() -> tuple["subprocess.Popen[bytes]", Path]:
    """Start a browser for all tests of this process, with nothing remembered in its folder."""
    profile = Path(tempfile.mkdtemp(prefix="chromium-"))
    process = subprocess.Popen(
        [BINARY, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return process, profile


def end() -> None:
    """End the browser, if there is one."""
    if _started.cache_info().currsize:
        process, profile = _started()
        process.terminate()
        process.wait(_PATIENCE)
        shutil.rmtree(profile, ignore_errors=True)


@asynccontextmanager
async def browser() -> AsyncIterator[Page]:
    """Yield a tab in a context of its own, which remembers nothing: to start a browser takes longer than most tests."""
    process, profile = _started()
    at = await _address(profile / "DevToolsActivePort", process)
    async with aiohttp.ClientSession() as session, session.ws_connect(at, max_msg_size=0) as socket:
        whole = Page(socket)
        context = await whole.do("Target.createBrowserContext", disposeOnDetach=True)
        tab = await whole.do("Target.createTarget", url="about:blank", **context)
        address = f"{at.rpartition('/browser/')[0]}/page/{tab['targetId']}"
        async with session.ws_connect(address, max_msg_size=0) as of_tab:
            page = Page(of_tab)
            for domain in ("Page", "Runtime", "Log", "Network"):
                await page.do(f"{domain}.enable")
            await page.do("Emulation.setFocusEmulationEnabled", enabled=True)
            yield page


async def _address(file: Path, process: "subprocess.Popen[bytes]") -> str:
    async with asyncio.timeout(_PATIENCE):
        while not file.exists() or not file.read_text("utf-8").strip():
            assert process.poll() is None, "chromium ended at once"
            await asyncio.sleep(0.05)
    port, path = file.read_text("utf-8").split()
    return f"ws://127.0.0.1:{port}{path}"
