"""One run on a Ray cluster of two machines, in a network of their own: what is promised where one is lost."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from eventabs.errors import ConfigError
from eventabs.shards.cluster.ray import open_cluster
from paths import ROOT

HAS_RAY = importlib.util.find_spec("ray") is not None
NETWORK = ["unshare", *([] if os.getuid() == 0 else ["--map-root-user"]), "--net"]
HAS_NETWORK = (
    shutil.which("unshare") is not None
    and subprocess.run(
        [*NETWORK, "ip", "link", "set", "lo", "up"], check=False, capture_output=True
    ).returncode
    == 0
)
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install 'eventabs[ray]'")
needs_network = pytest.mark.skipif(
    not HAS_NETWORK,
    reason="no network namespace can be made here, and Ray would listen on the host's addresses",
)
pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture(scope="module")
def lost() -> dict[str, Any]:
    """Return the figures of a run that loses a machine, and the limiter later."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "cluster.py"), "--users", "60", "--rpm", "600"],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


@needs_ray
@needs_network
def test_every_user_is_well_though_a_machine_and_the_limiter_are_lost(lost: dict[str, Any]) -> None:
    assert lost["exit_code"] == 0
    assert (lost["summary"]["success_count"], lost["summary"]["pending"]) == (60, 0)
    assert lost["copied_users_when_the_machine_was_lost"] > 0


@needs_ray
@needs_network
def test_nothing_is_asked_again_that_had_been_copied(lost: dict[str, Any]) -> None:
    assert lost["asked_again_that_had_been_copied"] == 0


@needs_ray
@needs_network
def test_a_limit_a_minute_holds_over_all_machines(lost: dict[str, Any]) -> None:
    assert 0 < lost["most_in_a_minute"] <= 600


def in_own_network(script: str, folder: Path) -> "subprocess.Popen[str]":
    """Start a shell script in a network of its own; the command line is `$EVENTABS`."""
    command = f"ip link set lo up; cd {folder}; {script}"
    environment = os.environ | {
        "EVENTABS": f"{sys.executable} -m eventabs",
        "RAY_AUTH_MODE": "disabled",
        "NO_PROXY": "127.0.0.1",
    }
    return subprocess.Popen(
        [*NETWORK, "sh", "-c", command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@needs_ray
@needs_network
def test_ctrl_c_saves_all_shards_and_resume_goes_on_to_the_same_events(tmp_path: Path) -> None:
    script = f"""
        {sys.executable} {ROOT}/benchmarks/workload.py --users 36 --behaviors 20 --output in.csv
        {sys.executable} {ROOT}/benchmarks/simulator.py --port 8123 --scale 6 --log served.jsonl > server.out & SERVER=$!
        OPTIONS="--model simulated --base-url http://127.0.0.1:8123/v1 --max-users 2"
        setsid $EVENTABS run in.csv $OPTIONS --engine ray --shards 2 --concurrency 1 --out run.eventabs 2> first.err & DRIVER=$!
        touch served.jsonl
        while [ "$(wc -l < served.jsonl)" -lt 3 ]; do sleep 0.1; done
        kill -INT $DRIVER; wait $DRIVER; echo stopped $?
        $EVENTABS status run.eventabs --json
        $EVENTABS resume run.eventabs --concurrency 8 --yes 2> second.err; echo resumed $?
        $EVENTABS status run.eventabs --json
        $EVENTABS run in.csv $OPTIONS --concurrency 16 --out plain.eventabs 2> plain.err; echo plain $?
        $EVENTABS report run.eventabs
        kill $SERVER
    """
    with in_own_network(script, tmp_path) as process:
        output, errors = process.communicate(timeout=300)
    lines = output.splitlines()
    assert lines[0] == "stopped 130", (output, errors, (tmp_path / "first.err").read_text("utf-8"))
    stopped = json.loads(lines[1])
    assert stopped["status"] == "interrupted"
    assert 0 < stopped["success_count"] < 36
    assert lines[2] == "resumed 0", (tmp_path / "second.err").read_text("utf-8")
    assert json.loads(lines[3])["success_count"] == 36
    assert lines[4] == "plain 0"
    events = [(tmp_path / name / "events.jsonl").read_bytes() for name in ("run.eventabs", "plain.eventabs")]
    assert events[0] == events[1]
    assert lines[5].endswith("report.html")


@needs_ray
@needs_network
def test_an_address_that_nobody_answers_at_is_one_line(tmp_path: Path) -> None:
    script = """
        echo '{"user_id": "a", "timestamp": "2026-01-01 10:00:00", "action": "visit", "poi": "x"}' > in.jsonl
        $EVENTABS run in.jsonl --provider rules --engine ray --ray-address 127.0.0.1:6399 --out run.eventabs
        echo $?; ls
    """
    with in_own_network(script, tmp_path) as process:
        output, errors = process.communicate(timeout=120)
    assert output.split() == ["2", "in.jsonl"]
    (line,) = [line for line in errors.splitlines() if line.startswith("eventabs: ")]
    assert "no Ray cluster answers at 127.0.0.1:6399" in line
    assert "ray start --head" in line


def test_a_missing_extra_is_one_line_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'eventabs\[ray\]'"), open_cluster("", workers=1):
        pass


def test_a_ray_that_is_too_old_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    old = ModuleType("ray")
    old.__version__ = "2.9.3"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", old)
    with pytest.raises(ConfigError, match=r"Ray 2\.9\.3 is too old"), open_cluster("", workers=1):
        pass


def test_what_one_machine_alone_can_read_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "eventabs", "run", "-", "--engine", "ray", "--provider", "rules"],
        check=False,
        capture_output=True,
        text=True,
        input="",
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "standard input is read by one machine alone" in done.stderr


def test_requests_in_a_file_are_for_one_machine(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("{}\n", "utf-8")
    options = ["--engine", "ray", "--mode", "files", "--model", "m", "--base-url", "http://127.0.0.1:1/v1"]
    done = subprocess.run(
        [sys.executable, "-m", "eventabs", "run", "in.jsonl", *options],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "--mode files does not go with --engine ray" in done.stderr
