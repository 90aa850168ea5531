from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from eventabs.errors_and_exit_codes import (
    ConfigError,
    EventabsError,
    InputError,
    RunDirectoryError,
    StorageError,
)
from eventabs.runs.observer import SettingsTaken
from eventabs.runs.progress_and_stop_conditions import FAILURES_FACT, REFUSED_FACT
from eventabs.runs.run_state import inspect_run
from eventabs.runs.start_resume_reparse import default_out
from eventabs.shared_records import InputWarning
from runs_jobs import RULES, Place, finish
from runs_kit import batch_of, make_log, request_for

LATE = ConfigError("wrong")
OPENAI = {"llm": {"model": "m", "base_url": "https://api.example.com/v1"}}


def begin_only(place: Place, flags: dict[str, Any] = RULES, **more: Any) -> None:  # noqa: ANN401
    """Begin a run and read its input, but answer nobody."""
    with place.begin(flags, **more):
        pass


def begin_and_answer(place: Place, flags: dict[str, Any] = RULES) -> None:
    with place.begin(flags) as job:
        finish(job)


def end_with(place: Place, error: BaseException) -> None:
    with place.begin() as job:
        (job.directory.path / "paid.txt").touch()
        raise error


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("behaviors.csv", "behaviors.eventabs"),
        ("/data/2026/behaviors.v2.jsonl.gz", "behaviors.eventabs"),
        ("-", "stdin.eventabs"),
        ("logs/day*.csv", "day.eventabs"),
        ("*.csv", "input.eventabs"),
        ("导出.csv", "导出.eventabs"),
        (".hidden", "input.eventabs"),
    ],
)
def test_a_run_directory_is_named_after_the_first_input(path: str, out: str) -> None:
    assert default_out([path, "other.csv"]) == Path(out)


@pytest.mark.parametrize("address", ["api.example.com", "ftp://x", ""])
def test_an_address_that_is_none_matters_only_to_who_calls(place: Place, address: str) -> None:
    with pytest.raises(ConfigError, match=r"llm\.base_url"):
        begin_only(place, {"llm": {"model": "m", "base_url": address}})
    assert not place.out.exists()
    begin_only(place, {"llm": {"provider": "rules", "base_url": address}})


@pytest.mark.parametrize("error", [ConfigError("wrong"), InputError("wrong")])
def test_where_nothing_could_begin_the_directory_goes_again(place: Place, error: EventabsError) -> None:
    with pytest.raises(type(error)):
        end_with(place, error)
    assert not place.out.exists()


@pytest.mark.parametrize(
    "error", [RunDirectoryError("damaged"), StorageError("full"), KeyboardInterrupt(), ZeroDivisionError()]
)
def test_what_may_hold_paid_replies_is_never_removed(place: Place, error: BaseException) -> None:
    with pytest.raises(type(error)):
        end_with(place, error)
    assert (place.out / "paid.txt").exists()
    assert (place.out / "ledger.sqlite").exists()


def test_wrong_settings_that_show_late_cost_nobody_a_paid_reply(place: Place) -> None:
    def call_and_fail() -> None:
        with place.begin() as job:
            log = make_log("anna")
            with job.ledger.transaction():
                job.ledger.open_call(
                    batch_of("anna"), request_for([log]), settings_fingerprint="f", sent_at=0.0
                )
            raise LATE

    with pytest.raises(ConfigError):
        call_and_fail()
    assert (place.out / "ledger.sqlite").exists()


# taking a run up again


def test_the_config_file_of_the_beginning_is_read_again(place: Place) -> None:
    config = place.folder / "mine.toml"
    config.write_text("[run]\nrpm = 10\n")
    begin_only(place, config=config)
    config.write_text("[run]\nrpm = 20\n")
    with place.reopen() as job:
        assert job.settings.run.rpm == 20
    config.unlink()
    with place.reopen() as job:
        assert job.settings.run.rpm == 10, "as it was at the beginning"


def test_a_config_file_found_here_is_taken_where_the_run_began_without_one(place: Place) -> None:
    begin_only(place)
    found = Path("eventabs.toml")
    found.write_text("[run]\nrpm = 10\n", "utf-8")
    with place.reopen() as job:
        assert (job.settings.run.rpm, job.facts["config_file"]) == (10, str(found.absolute()))
    named = place.folder / "mine.toml"
    named.write_text("[run]\nrpm = 20\n", "utf-8")
    with place.reopen(config=named) as job:
        assert job.settings.run.rpm == 20


def test_the_config_file_of_the_beginning_goes_before_one_found_here(place: Place) -> None:
    config = place.folder / "mine.toml"
    config.write_text("[run]\nrpm = 10\n", "utf-8")
    begin_only(place, config=config)
    Path("eventabs.toml").write_text("[run]\nrpm = 20\n", "utf-8")
    with place.reopen() as job:
        assert job.settings.run.rpm == 10


def test_long_settings_that_have_changed_are_named_by_their_key_alone(place: Place) -> None:
    begin_and_answer(place)
    categories = [{"name": "demo", "mark": "+"}, {"name": "other", "mark": ""}]
    flags = {"vocabulary": {"categories": categories}, "prompt": {"detail": "fine"}}
    named = r'\(prompt\.detail "day" -> "fine"; vocabulary\.categories\)'
    with pytest.raises(RunDirectoryError, match=named), place.reopen(flags):
        pass


def test_accepted_changes_hold_from_then_on(place: Place) -> None:
    begin_and_answer(place)
    flags = {"prompt": {"detail": "fine"}}
    with place.reopen(flags, changed="accept") as job:
        finish(job)
    assert place.watcher.notes[-2] == SettingsTaken('prompt.detail "day" -> "fine"', is_answered=True)
    with place.reopen() as job:
        assert job.settings.prompt.detail == "fine"
    with pytest.raises(RunDirectoryError), place.reopen({"prompt": {"detail": "day"}}):
        pass


def test_changed_settings_hold_where_nobody_has_an_answer_and_are_told(place: Place) -> None:
    begin_only(place)
    with place.reopen({"prompt": {"detail": "fine"}}) as job:
        finish(job)
    assert place.watcher.notes[0] == SettingsTaken('prompt.detail "day" -> "fine"', is_answered=False)
    with (
        pytest.raises(RunDirectoryError, match="--accept-changes"),
        place.reopen({"prompt": {"detail": "day"}}),
    ):
        pass


def test_under_other_settings_what_is_known_of_an_endpoint_is_forgotten(place: Place) -> None:
    begin_only(place)
    known = {FAILURES_FACT: {"calls": 9, "succeeded": False}, REFUSED_FACT: {"parameters": ["seed"]}}
    with place.reopen() as job:
        job.remember(**known)
    for flags, kept in ((RULES, True), ({"prompt": {"detail": "fine"}}, False)):
        with place.reopen(flags) as job:
            assert {name: job.facts[name] for name in known} == (known if kept else dict.fromkeys(known))


def test_changed_settings_of_the_reading_are_refused_also_where_nobody_has_an_answer(place: Place) -> None:
    begin_only(place)
    with (
        pytest.raises(RunDirectoryError, match=r"input\.timezone"),
        place.reopen({"input": {"timezone": "Asia/Shanghai"}}),
    ):
        pass


def test_prices_of_today_are_those_that_costs_are_shown_by_later(place: Place) -> None:
    begin_and_answer(place)
    with place.reopen({"llm": {"price": {"input": 2.0, "output": 8.0}}}):
        pass
    assert inspect_run(place.out, now=lambda: 0.0).endpoint.price.output == 8.0


def test_a_resume_that_finds_nothing_to_do_adds_no_time(place: Place) -> None:
    begin_and_answer(place)
    before = inspect_run(place.out, now=lambda: 0.0).seconds
    with place.reopen() as job:
        finish(job)
    assert inspect_run(place.out, now=lambda: 0.0).seconds == before


def test_a_key_that_is_wanted_and_not_set_is_told_first(place: Place) -> None:
    llm = {"model": "m", "base_url": "http://127.0.0.1:9/v1", "api_key_env": "MY_KEY"}
    with place.begin({"llm": llm}) as job:
        finish(job)
    assert place.watcher.notes[0] == InputWarning("no_key", "MY_KEY is not set: no key is sent")


def test_who_calls_nobody_is_not_asked_about_changes(place: Place) -> None:
    begin_only(place, OPENAI)
    with place.reopen(
        {"prompt": {"detail": "fine"}}, changed="ignore", environment={"OPENAI_API_KEY": "k"}
    ) as job:
        assert job.settings.prompt.detail == "fine"


def test_a_changed_template_is_refused_and_one_that_is_gone_is_remembered(place: Place) -> None:
    template = place.folder / "mine.txt"
    shipped = resources.files("eventabs.prompts").joinpath("templates", "zh.txt").read_text("utf-8")
    template.write_text(shipped)
    begin_and_answer(place, RULES | {"prompt": {"template": "mine.txt"}})
    template.write_text(f"{shipped}\nbriefly")
    with pytest.raises(RunDirectoryError, match=r"prompt\.template"), place.reopen():
        pass
    template.unlink()
    with place.reopen() as job:
        assert job.facts["template"] == shipped


def test_a_run_that_was_not_begun_here_gets_no_key_without_confirmation(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_only(place, OPENAI)
    key = {"OPENAI_API_KEY": "k"}
    with place.reopen(environment=key):
        pass
    monkeypatch.setenv("XDG_STATE_HOME", str(place.folder / "another machine"))
    with pytest.raises(RunDirectoryError, match="--yes"), place.reopen(environment=key):
        pass
    with place.reopen(environment=key, confirmed=True):
        pass
