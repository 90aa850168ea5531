"""docs/failures.md names everything that can fail."""

import inspect
from typing import get_args

from eventabs import errors_and_exit_codes as errors
from eventabs.shared_records import FailureReason
from paths import ROOT

PAGE = (ROOT / "docs" / "failures.md").read_text("utf-8")


def test_every_class_of_endpoint_errors_has_its_line() -> None:
    classes = [kind for _name, kind in inspect.getmembers(errors, inspect.isclass)]
    endpoint = [kind for kind in classes if issubclass(kind, errors.EndpointError)]
    assert len(endpoint) >= 7
    missing = [kind.__name__ for kind in endpoint if f"`{kind.__name__}`" not in PAGE]
    assert missing == ["EndpointError"], "only their common base has none"


def test_every_reason_for_a_failed_user_has_its_line() -> None:
    assert [reason for reason in get_args(FailureReason) if f"\n| `{reason}` |" not in PAGE] == []
