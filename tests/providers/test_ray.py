"""Calls that the machines of a Ray cluster make, in namespaces of their own: the ledger stays here, and nothing is lost with a machine."""

import importlib.metadata
import importlib.util
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from inspect import signature
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from eventabs import errors_and_exit_codes as errors
from eventabs.errors_and_exit_codes import ConfigError
from eventabs.providers.openai.client import UnreachableError
from eventabs.providers.ray import connected
from house import eventabs
from paths import ROOT

HAS_RAY = importlib.util.find_spec("ray") is not None
NETWORK = [
    "unshare",
    *([] if os.getuid() == 0 else ["--map-root-user"]),
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--mount-proc",
]
HAS_NETWORK = (
    shutil.which("unshare") is not None
    and subprocess.run(
        [*NETWORK, "ip", "link", "set", "lo", "up"], check=False, capture_output=True
    ).returncode
    == 0
)
needs_cluster = pytest.mark.skipif(
    not (HAS_RAY and HAS_NETWORK),
    reason="Ray is not installed (pip install 'eventabs[ray]'), or no network namespace can be made here",
)


def on_cluster(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that wants a cluster; those that look at one run are on one worker, which makes it once. Two have nearly as much to do."""
    run = "tried" if signature(test).parameters.keys() - {"disturbed"} else "disturbed"
    marked: Callable[..., None] = pytest.mark.cluster(needs_cluster(pytest.mark.xdist_group(run)(test)))
    return marked


def figures_of(*options: str) -> dict[str, Any]:
    """Return the figures of a run on two machines that loses something."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "cluster.py"), *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


@pytest.fixture(scope="module")
def disturbed() -> dict[str, Any]:
    """Return the figures of a run that loses a machine, meets it again, has another one hang, and whose driver is killed."""
    return figures_of("--users", "160")


@on_cluster
def test_where_memory_runs_out_the_calls_are_made_elsewhere() -> None:
    figures = figures_of("--users", "60", "--scale", "0.8", "--lose", "memory")
    assert figures["users"] == {"done": 60, "failed": 0, "pending": 0}
    assert list(figures["machines_lost"]) == ["its memory ran out, and Ray ended what makes the calls"]
    assert (figures["finished_calls_asked_again"], figures["requests_that_no_ledger_knows"]) == (0, 0)
    assert all(figures["requests_of_each_machine"])


@on_cluster
def test_every_user_is_done_with_the_events_of_one_process_whatever_is_lost(
    disturbed: dict[str, Any],
) -> None:
    assert disturbed["exit_code"] == 0
    assert disturbed["users"] == {"done": 160, "failed": 0, "pending": 0}
    assert disturbed["events_equal_to_one_process"]


@on_cluster
def test_only_calls_in_flight_are_made_again_and_each_is_counted(disturbed: dict[str, Any]) -> None:
    assert disturbed["finished_calls_asked_again"] == 0
    assert disturbed["requests_that_no_ledger_knows"] == 0
    assert disturbed["retries"] + disturbed["calls_lost_with_the_driver"] > 0
    assert disturbed["requests"] <= disturbed["calls"] + disturbed["retries"]


@on_cluster
def test_each_machine_calls_the_server_that_its_environment_names(disturbed: dict[str, Any]) -> None:
    assert all(disturbed["requests_of_each_machine"])


@on_cluster
def test_nothing_of_a_prompt_is_left_on_a_machine(disturbed: dict[str, Any]) -> None:
    assert disturbed["files_on_machines_with_a_line_of_a_prompt"] == [[], []]


def in_own_network(script: str, folder: Path) -> str:
    """Run a shell script in a network of its own, with a home of its own; the command line is `$EVENTABS`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "EVENTABS_"))}
    done = subprocess.run(
        [
            *NETWORK,
            "sh",
            "-c",
            f"ip link set lo up; mkdir -p /tmp/ray; mount -t tmpfs tmpfs /tmp/ray; cd {folder}; {script}",
        ],
        env=kept
        | {
            "EVENTABS": f"{sys.executable} -m eventabs",
            "RAY": str(Path(sys.executable).with_name("ray")),
            "HOME": str(folder),
            "NO_PROXY": "127.0.0.1",
            "EVENTABS_LANG": "en",
        },
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )
    return done.stdout + done.stderr


WORKLOAD = f"""
    {sys.executable} {ROOT}/benchmarks/workload.py --users 24 --behaviors 20 --output in.csv
    {sys.executable} {ROOT}/benchmarks/simulator.py --port 8123 --scale 6 --log served.jsonl > server.out 2>&1 & SERVER=$!
    touch served.jsonl
    until grep -q 8123 server.out; do sleep 0.1; done
    OPTIONS="--model simulated --base-url http://127.0.0.1:8123/v1 --max-users 2"
"""


# a batch service that completes every job
SERVICE = f"""
import sys; sys.path.append('{ROOT}/tests/support')
import pathlib, time; from batch_service import BatchServer
with BatchServer() as server:
    pathlib.Path('url').write_text(server.base_url); time.sleep(900)
"""


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a trial on this machine alone: begun with a limit, interrupted, resumed, reparsed; and beside it one process."""
    folder = tmp_path_factory.mktemp("trial")
    script = f"""{WORKLOAD}
        $EVENTABS run - $OPTIONS --engine ray --limit 4 --out run.eventabs --json < in.csv > limited.json 2> limited.err; echo $? > limited.code
        setsid $EVENTABS resume run.eventabs --concurrency 1 --yes --progress json 2> first.err & DRIVER=$!
        while kill -0 $DRIVER 2> /dev/null && [ "$(wc -l < served.jsonl)" -lt 8 ]; do sleep 0.1; done
        kill -INT $DRIVER; wait $DRIVER; echo $? > first.code
        $EVENTABS status run.eventabs --json > stopped.json
        $EVENTABS resume run.eventabs --concurrency 8 --yes --json > resumed.json 2> second.err; echo $? > second.code
        $EVENTABS reparse run.eventabs > reparsed.out 2>&1
        $EVENTABS run in.csv $OPTIONS --concurrency 16 --out plain.eventabs > plain.out 2>&1
        cmp run.eventabs/events.jsonl plain.eventabs/events.jsonl > compared.out 2>&1
        {{ cat in.csv; sed -n '2,90s/,2025-/,2026-/p' in.csv; }} > more.csv
        for name in run plain; do $EVENTABS extend $name.eventabs more.csv --yes --json > $name.extended.json 2>> later.err; done
        cd batch; {sys.executable} -c "{SERVICE}" & SERVICE_ID=$!
        until [ -e url ]; do sleep 0.1; done
        for engine in ray local; do
            $EVENTABS run ../in.csv --model m --base-url "$(cat url)" --engine $engine --max-users 2 --mode batch --out $engine.eventabs --json > $engine.json 2>> ../later.err
        done
        kill $SERVICE_ID; cd ..
        ls -a .ray > token.out 2>&1
        kill $SERVER
    """
    (folder / "batch").mkdir()
    (folder / "batch" / "eventabs.toml").write_text(
        "[llm]\nstream = false\n[batch]\npoll_seconds = 0.1\n", "utf-8"
    )
    (folder / "said.out").write_text(in_own_network(script, folder), "utf-8")
    return folder


@on_cluster
def test_a_trial_takes_standard_input_a_limit_ctrl_c_and_resume_as_one_process_does(tried: Path) -> None:
    assert (tried / "limited.code").read_text() == "0\n", (tried / "limited.err").read_text("utf-8")
    assert json.loads((tried / "limited.json").read_text("utf-8"))["success_count"] == 4
    assert (tried / "first.code").read_text() == "130\n", (tried / "first.err").read_text("utf-8")
    stopped = json.loads((tried / "stopped.json").read_text("utf-8"))
    assert stopped["status"] == "interrupted"
    assert 4 <= stopped["success_count"] < 24
    assert (tried / "second.code").read_text() == "0\n", (tried / "second.err").read_text("utf-8")
    assert json.loads((tried / "resumed.json").read_text("utf-8"))["success_count"] == 24
    assert (tried / "compared.out").read_text("utf-8") == ""


@on_cluster
def test_a_run_on_a_cluster_is_extended_as_one_process_extends_it(tried: Path) -> None:
    said = [
        json.loads((tried / f"{name}.extended.json").read_text("utf-8"))["extension"]
        for name in ("run", "plain")
    ]
    assert said[0] == said[1]
    assert said[0]["new_behaviors"] > 0 < said[0]["calls"]
    results = [
        [
            (tried / name / file).read_bytes()
            for file in ("events.jsonl", "journeys.jsonl", "events.new.jsonl")
        ]
        for name in ("run.eventabs", "plain.eventabs")
    ]
    assert results[0] == results[1]


@on_cluster
def test_batch_jobs_go_out_from_the_process_of_the_run_and_give_the_same_events(tried: Path) -> None:
    said = [json.loads((tried / "batch" / f"{name}.json").read_text("utf-8")) for name in ("ray", "local")]
    assert [(each["status"], each["success_count"]) for each in said] == [("completed", 24)] * 2
    events = [
        (tried / "batch" / f"{name}.eventabs" / "events.jsonl").read_bytes() for name in ("ray", "local")
    ]
    assert events[0] == events[1]


@on_cluster
def test_tokens_are_counted_while_an_answer_comes_in(tried: Path) -> None:
    lines = [
        json.loads(line) for line in (tried / "first.err").read_text("utf-8").splitlines() if line[:1] == "{"
    ]
    counts = [
        (line["batches_done"], line["completion_tokens"]) for line in lines if "completion_tokens" in line
    ]
    assert any(before[0] == now[0] and before[1] < now[1] for before, now in pairwise(counts)), lines[-3:]


@on_cluster
def test_ray_says_nothing_of_its_own(tried: Path) -> None:
    said = "".join((tried / name).read_text("utf-8") for name in ("limited.err", "second.err", "said.out"))
    assert not any(
        words in said for words in (".cc:", ".h:", "ray.init", "worker.py", "uthentication", "(raylet)")
    )


@on_cluster
def test_a_trial_writes_no_token_which_a_cluster_would_want_from_then_on(tried: Path) -> None:
    assert "auth_token" not in (tried / "token.out").read_text("utf-8")


@on_cluster
def test_a_cluster_that_is_not_there_or_wants_a_token_is_one_line_with_the_next_step(tmp_path: Path) -> None:
    script = f"""{WORKLOAD}
        for address in 127.0.0.1:6399 127.0.0.1:8123 auto nonsense; do
            $EVENTABS run in.csv $OPTIONS --engine ray --ray-address $address --out run.eventabs 2>> said.err; echo $?
        done
        ls -d run.eventabs 2> /dev/null
        export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=0123456789abcdef0123456789abcdef
        $RAY start --head --port 6379 --num-cpus 1 --node-ip-address 127.0.0.1 --include-dashboard false > head.out 2>&1
        unset RAY_AUTH_MODE RAY_AUTH_TOKEN
        $EVENTABS run in.csv $OPTIONS --engine ray --ray-address 127.0.0.1:6379 --out run.eventabs 2>> said.err; echo $?
        mkdir -p .ray; printf 0123456789abcdef0123456789abcdef > .ray/auth_token
        $EVENTABS run in.csv $OPTIONS --engine ray --ray-address 127.0.0.1:6379 --out run.eventabs > good.out 2>&1; echo $?
        $RAY stop -f > /dev/null 2>&1
        kill $SERVER
    """
    assert in_own_network(script, tmp_path).split() == ["2"] * 5 + ["0"], (tmp_path / "good.out").read_text(
        "utf-8"
    )
    said = (tmp_path / "said.err").read_text("utf-8").splitlines()
    assert len(said) == 5, said
    wanted = (
        "no Ray cluster answers at 127.0.0.1:6399",
        "what listens there is not Ray",
        "ray start --head",
        "host:port",
        "copy ~/.ray/auth_token from its head, or set RAY_AUTH_TOKEN",
    )
    assert all(
        line.startswith("eventabs: ") and words in line for line, words in zip(said, wanted, strict=True)
    ), said


# Ray's autoscaler with its fake machines, which its wheel has but for the file that `AutoscalingCluster` reads
PROVIDER = {
    "type": "fake_multinode", "foreground_node_launch": True, "disable_node_updaters": True,
    "disable_launch_config_check": True, "worker_liveness_check": False,
}  # fmt: skip
AUTOSCALER = {
    "cluster_name": "fake",
    "max_workers": 1,
    "idle_timeout_minutes": 0.2,
    "upscaling_speed": 100.0,
    "provider": PROVIDER,
    "head_node_type": "ray.head.default",
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "machine": {
            "resources": {"CPU": 1, "object_store_memory": 10**8},
            "node_config": {},
            "max_workers": 1,
        },
    },
    **{name: {} for name in ("auth", "docker", "file_mounts")},
    **{
        name: []
        for name in ("cluster_synced_files", "initialization_commands", "rsync_exclude", "rsync_filter")
    },
    **{f"{of}setup_commands": [] for of in ("", "head_", "worker_")},
    **{f"{of}_start_ray_commands": [] for of in ("head", "worker")},
}


@on_cluster
def test_where_no_machine_is_there_ray_s_autoscaler_adds_one_and_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "fake.json").write_text(json.dumps(AUTOSCALER), "utf-8")
    script = f"""{WORKLOAD}
        RAY_AUTH_MODE=disabled RAY_FAKE_CLUSTER=1 AUTOSCALER_UPDATE_INTERVAL_S=1 $RAY start --head --port 6379 --num-cpus 0 \\
            --node-ip-address 127.0.0.1 --include-dashboard false --autoscaling-config fake.json > head.out 2>&1
        $EVENTABS run in.csv $OPTIONS --concurrency 1 --engine ray --ray-address 127.0.0.1:6379 --json --out run.eventabs > said.json 2> said.err
        grep -h event_summary /tmp/ray/session_latest/logs/monitor.log; tail -n 3 /tmp/ray/session_latest/logs/monitor.err
        $RAY stop -f > /dev/null 2>&1
        kill $SERVER
    """
    told = in_own_network(script.replace("--scale 6", "--scale 1"), tmp_path)
    said = (tmp_path / "said.err").read_text("utf-8")
    assert json.loads((tmp_path / "said.json").read_text("utf-8"))["success_count"] == 24, (told, said)
    assert told.count("Adding 1 node(s)") == 1
    assert "Removing" not in told
    assert "is lost" not in said


@pytest.mark.parametrize(
    "error",
    [
        errors.RateLimitedError("slowly", status=429, wait_seconds=2.5),
        errors.CapacityError("full", status=503, wait_seconds=None),
        errors.NoContentError("silent"),
        errors.ContextTooLongError("long", status=400),
        errors.RejectedRequestError("refused", status=400, parameters=frozenset({"seed"})),
        UnreachableError("no such host", reason="dns", through_proxy=True),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_the_endpoint_comes_back_from_a_machine_as_it_was(error: errors.EndpointError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    assert (type(copy), copy.args, vars(copy), str(copy)) == (
        type(error),
        error.args,
        vars(error),
        str(error),
    )


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("", "--engine ray is for a model"),
        (
            '[llm]\nmodel = "m"\nextra_headers = {X-Team = "a"}\n',
            "export EVENTABS_LLM__EXTRA_HEADERS here and where Ray is started",
        ),
    ],
    ids=["built-in rules call nobody", "what may be secret is not sent to other machines"],
)
def test_what_no_cluster_can_do_is_refused_before_one_is_wanted(
    tmp_path: Path, config: str, told: str
) -> None:
    (tmp_path / "in.jsonl").write_text("{}\n", "utf-8")
    (tmp_path / "eventabs.toml").write_text(config, "utf-8")
    done = eventabs("run", "in.jsonl", "--engine", "ray", cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr


async def test_a_missing_extra_is_one_line_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(ConfigError, match=r"pip install 'eventabs\[ray\]'"):
        async with connected(""):
            pass


async def test_a_ray_that_is_too_old_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "2.9.3")
    with pytest.raises(ConfigError, match=r"Ray 2\.9\.3 is too old"):
        async with connected(""):
            pass
