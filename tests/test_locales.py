from pathlib import Path

import pytest

import eventabs
from messages import as_mo, as_po, extracted, faults, main, updated

PACKAGE = Path(eventabs.__file__).parent
PO = PACKAGE / "locales" / "zh" / "LC_MESSAGES" / "eventabs.po"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "room.py").write_text(
        "from eventabs.interface_language import gettext as _, ngettext\n"
        '_("{path} is gone")\n'
        'ngettext("{count} user", "{count} users", 2)\n',
        encoding="utf-8",
    )
    return tmp_path


def _po(path_is_gone: str, users: str, flags: str = "") -> bytes:
    return (
        f'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
        f'{flags}msgid "{{path}} is gone"\nmsgstr "{path_is_gone}"\n\n'
        f'msgid "{{count}} user"\nmsgid_plural "{{count}} users"\nmsgstr[0] "{users}"\n'
    ).encode()


def _own(package: Path, po: bytes) -> list[str]:
    """Return the faults of the package's own messages, without typer's words."""
    words = extracted(package)
    own = {message: files for message, files in words.items() if files == ["eventabs/room.py"]}
    return list(faults(updated(own, po)))


def test_every_message_in_the_code_has_a_translation_with_the_same_placeholders() -> None:
    assert list(faults(updated(extracted(PACKAGE), PO.read_bytes()))) == []


def test_the_catalogue_holds_exactly_the_messages_in_the_code() -> None:
    assert as_po(updated(extracted(PACKAGE), PO.read_bytes())) == PO.read_bytes()


def test_the_compiled_catalogue_is_made_from_the_text() -> None:
    compiled = PO.with_suffix(".mo")
    assert as_mo(updated(extracted(PACKAGE), PO.read_bytes())) == compiled.read_bytes()


def test_a_good_catalogue_has_no_faults(package: Path) -> None:
    assert _own(package, _po("{path} 不见了", "{count} 个用户")) == []


@pytest.mark.parametrize(
    ("po", "fault"),
    [
        (_po("", "{count} 个用户"), "untranslated: {path} is gone"),
        (_po("{path} 不见了", ""), "untranslated: {count} user"),
        (_po("{path} 不见了", "{count} 个用户", "#, fuzzy\n"), "untranslated: {path} is gone"),
        (_po("{paht} 不见了", "{count} 个用户"), "other placeholders in the translation: {path} is gone"),
        (_po("{path} 不见了", "用户"), "other placeholders in the translation: {count} user"),
    ],
)
def test_a_faulty_translation_is_named(package: Path, po: bytes, fault: str) -> None:
    assert _own(package, po) == [fault]


def test_a_catalogue_holds_neither_places_nor_dates_that_change_in_every_diff(package: Path) -> None:
    text = as_po(updated(extracted(package), b"")).decode()
    assert "room.py" not in text
    assert "Date" not in text
    assert "Babel" not in text


def test_a_message_that_left_the_code_leaves_the_catalogue(package: Path) -> None:
    (package / "room.py").write_text("", encoding="utf-8")
    assert b"is gone" not in as_po(updated(extracted(package), _po("{path} 不见了", "{count} 个用户")))


def test_the_tool_writes_what_its_check_then_accepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("messages.PACKAGE", tmp_path)
    monkeypatch.setattr("messages.TYPER_WORDS", ())
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
    (tmp_path / "room.py").write_text("from gettext import gettext as _\n_('new')\n", encoding="utf-8")
    assert main(["--check"]) == 1
    assert main([]) == 1
