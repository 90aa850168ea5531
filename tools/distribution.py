"""Builds the distributions and tries the wheel where there is nothing else: `python tools/distribution.py`, or `make dist-test`.

The wheel of the tree and that of the sdist have to be equal to the byte, and hold every file of the package.
The wheel is installed in a new environment, and used from a folder outside the tree; then tests of the sdist run against it.
"""

import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "eventabs"
TEST_PACKAGES = ("hypothesis", "pytest", "pytest-asyncio")
TESTS = ("tests/whole/test_run.py",)
RELATIVE_LINK = re.compile(r"\]\((?![a-z]+://)[^)]*\)")
INPUT = """\
user_id,timestamp,action,poi,duration
u1,2026-03-07 10:04:09,visit,启程4S店,5725
u1,2026-03-07 13:10:00,visit,西餐厅,3600
u2,2026-03-07 09:30:30,visit,健身房,4800
u2,2026-03-07 09:30:59,visit,超市,900
"""


class UnsoundError(Exception):
    """A distribution is not what it has to be."""


def main() -> None:
    """Build into dist/ and try what was built; exit with a line for the first thing that is wrong."""
    dist = ROOT / "dist"
    with tempfile.TemporaryDirectory(prefix="eventabs-dist-") as scratch:
        folder = Path(scratch)
        try:
            wheel, sdist = build(ROOT, dist)
            python("-m", "twine", "check", "--strict", wheel, sdist)
            check_contents(wheel)
            source = unpack(sdist, folder / "source")
            check_same(wheel, build(source, folder / "again", "--wheel")[0])
            environment = Environment(folder / "environment", wheel)
            environment.use(folder / "work", version_of(wheel))
            environment.test(source)
        except (UnsoundError, subprocess.CalledProcessError) as error:
            sys.exit(f"{type(error).__name__}: {error}")
    say(
        f"sound: {wheel.name} ({wheel.stat().st_size:,} bytes), {sdist.name} ({sdist.stat().st_size:,} bytes)"
    )


def demand(holds: bool, otherwise: str) -> None:
    """Raise UnsoundError with `otherwise` unless something holds."""
    if not holds:
        raise UnsoundError(otherwise)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def python(*arguments: object) -> None:
    """Run a module with this interpreter, silent unless it fails."""
    run([sys.executable, *map(str, arguments)], Path.cwd(), dict(os.environ))


def run(command: list[str], cwd: Path, environment: dict[str, str]) -> str:
    """Run a command to its end; return its standard output."""
    done = subprocess.run(command, cwd=cwd, env=environment, check=False, capture_output=True, text=True)  # noqa: S603  our own commands
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        done.check_returncode()
    return done.stdout


def build(source: Path, dist: Path, *only: str) -> list[Path]:
    """Build wheel and sdist of `source`, each from the tree; return them, the wheel first."""
    for old in dist.glob("eventabs-*"):
        old.unlink()
    python("-m", "build", "--no-isolation", *(only or ("--sdist", "--wheel")), "--outdir", dist, source)
    return [*dist.glob("*.whl"), *dist.glob("*.tar.gz")]


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack an sdist; return the folder of its tree."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    return tree


def check_contents(wheel: Path) -> None:
    """Raise UnsoundError unless the wheel has the files of the package, the licenses and a page that an index can show."""
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        message = message_from_bytes(archive.read(metadata))
    held = {name for name in names if ".dist-info/" not in name}
    there = {
        f"eventabs/{path.relative_to(PACKAGE).as_posix()}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    demand(held == there, f"the wheel and the tree differ in {sorted(held ^ there)}")
    licenses = sum("/licenses/" in name for name in names)
    demand(licenses == len(message.get_all("License-File", [])) > 0, "a license is missing")
    links = RELATIVE_LINK.findall(str(message.get_payload()))
    demand(not links, f"the page for an index has links to files: {links}")


def check_same(wheel: Path, other: Path) -> None:
    """Raise UnsoundError unless both wheels are equal to the byte."""
    demand(wheel.read_bytes() == other.read_bytes(), "the wheel of the sdist is not that of the tree")


def version_of(wheel: Path) -> str:
    """Return the version in a wheel's name."""
    return wheel.name.split("-")[1]


class Environment:
    """A new environment that has nothing but a wheel and what it depends on."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        venv.create(folder, with_pip=True)
        self._bin = folder / ("Scripts" if os.name == "nt" else "bin")
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("EVENTABS", "PYTHON", "VIRTUAL_ENV"))
        }
        self._variables = kept | {"LC_ALL": "C.UTF-8", "XDG_STATE_HOME": str(folder / "state")}
        begin = time.monotonic()
        self._install(str(wheel))
        say(f"installed in {time.monotonic() - begin:.0f} s")

    def _install(self, *requirements: str) -> None:
        pip = [str(self._bin / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, "--constraint", str(ROOT / "constraints.txt"), *requirements], self._bin, self._variables)

    def use(self, folder: Path, version: str) -> None:
        """Do in `folder` what a new user does. Raises UnsoundError where something else comes out."""
        folder.mkdir()
        (folder / "visits.csv").write_text(INPUT, "utf-8")

        def eventabs(*arguments: str, **variables: str) -> str:
            return run([str(self._bin / "eventabs"), *arguments], folder, self._variables | variables)

        begin = time.monotonic()
        done = json.loads(eventabs("run", "visits.csv", "--provider", "rules", "--json"))
        say(f"first events in {time.monotonic() - begin:.1f} s")
        estimates = [
            json.loads(eventabs("estimate", "visits.csv", "--json", EVENTABS_PROMPT__TOKENIZER=name))
            for name in ("cl100k_base", "o200k_base")
        ]
        for command in (
            ("init", "--preset", "deepseek"),
            ("columns", "visits.csv"),
            ("status", "visits.eventabs"),
            ("show", "visits.eventabs", "u1"),
            ("report", "visits.eventabs", "--output", "report.html"),
            ("export", "visits.eventabs", "--output", "events.parquet"),
        ):
            eventabs(*command)
        held = {
            "version": version in eventabs("--version"),
            "run": (done["success_count"], done["failed_count"]) == (2, 0),
            "events": len((folder / "visits.eventabs/events.jsonl").read_text("utf-8").splitlines())
            == done["events"],
            "estimate": all(one["users"] == done["users"] and one["batches"] == 1 for one in estimates),
            "report": "启程4S店" in (folder / "report.html").read_text("utf-8"),
            "config file": "deepseek" in (folder / "eventabs.toml").read_text("utf-8"),
            "Chinese": "用法" in eventabs("--help", EVENTABS_LANG="zh"),
        }
        wrong = [name for name, holds in held.items() if not holds]
        demand(not wrong, f"the installed wheel is wrong in: {', '.join(wrong)}")

    def test(self, source: Path) -> None:
        """Run some tests of an unpacked sdist against the installed wheel."""
        self._install(*TEST_PACKAGES)
        run(
            [str(self._bin / "python"), "-m", "pytest", "-p", "no:cacheprovider", *TESTS],
            source,
            self._variables,
        )
        say(f"tests of the sdist pass: {', '.join(TESTS)}")


if __name__ == "__main__":
    main()
