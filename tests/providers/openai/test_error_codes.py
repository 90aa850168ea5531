import pytest
from hypothesis import given, settings, strategies as st

from eventabs.providers.openai.errors import MEANINGS, Fault, find_fault


def meaning(status: int, payload: object) -> str | None:
    fault = find_fault(payload)
    assert fault is not None
    return fault.means(status)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, "rejected"),
        (401, "key"),
        (402, "quota"),
        (403, "key"),
        (404, "model"),
        (405, "model"),
        (408, "again"),
        (409, "again"),
        (413, "rejected"),
        (418, "rejected"),
        (422, "rejected"),
        (425, "again"),
        (429, "rate"),
        (500, "again"),
        (502, "again"),
        (503, "again"),
        (504, "again"),
        (529, "again"),
    ],
)
def test_a_status_decides_where_no_code_is_known(status: int, expected: str) -> None:
    assert Fault().means(status) == expected
    assert meaning(status, {"error": {"message": "rate limit", "type": "invalid_request_error"}}) == expected


@pytest.mark.parametrize(
    ("status", "payload", "expected"),
    [
        (429, {"error": {"code": "insufficient_quota", "type": "insufficient_quota"}}, "quota"),
        (429, {"error": {"code": "rate_limit_exceeded", "type": "tokens"}}, "rate"),
        (429, {"error": {"code": "1113", "message": "in arrears"}}, "quota"),
        (429, {"error": {"code": "1302"}}, "rate"),
        (400, {"error": {"code": "1301"}}, "moderated"),
        (400, {"error": {"code": "Arrearage"}}, "quota"),
        (400, {"error": {"code": "data_inspection_failed", "type": "data_inspection_failed"}}, "moderated"),
        (400, {"error": {"type": "content_filter"}}, "moderated"),
        (403, {"error": {"code": "content_policy_violation"}}, "moderated"),
        (
            400,
            {"error": {"code": None, "type": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
            "moderated",
        ),
        (400, {"error": {"code": "context_length_exceeded", "type": "invalid_request_error"}}, "too_long"),
        (400, {"error": {"code": 400, "type": "exceed_context_size_error", "n_ctx": 8192}}, "too_long"),
        (500, {"error": {"code": 500, "type": "exceed_context_size_error"}}, "too_long"),
        (400, {"error": {"code": 400, "type": "BadRequestError", "param": "input_tokens"}}, "too_long"),
        (413, {"error": {"code": "rate_limit_exceeded", "type": "tokens"}}, "too_long"),
        (404, {"error": {"code": "model_not_found"}}, "model"),
        (400, {"error": {"code": "1211"}}, "model"),
        (200, {"error": {"code": 502, "message": "upstream"}}, "again"),
        (200, {"error": {"code": 429}}, "rate"),
        (200, {"error": {"code": 400, "type": "BadRequestError"}}, "rejected"),
        (200, {"error": {"type": "invalid_request_error"}}, "rejected"),
        (200, {"error": {"message": "?"}}, None),
        (200, {"error": "out of order"}, None),
        (200, {"object": "error", "message": "no", "code": 40303}, None),
        (200, {"code": "Throttling.RateQuota", "message": "slow down"}, "rate"),
        (200, {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}, "choices": None}, "rate"),
        (200, {"base_resp": {"status_code": "1039"}}, "rate"),
        (200, {"base_resp": {"status_code": 1008}}, "quota"),
        (200, {"base_resp": {"status_code": 1004}}, "key"),
        (200, {"base_resp": {"status_code": 1026}}, "moderated"),
        (200, {"base_resp": {"status_code": 2013}}, "rejected"),
        (200, {"base_resp": {"status_code": 4711}}, "again"),
        (200, {"base_resp": {"status_code": "?"}}, "again"),
    ],
)
def test_a_known_code_decides_before_the_status(status: int, payload: object, expected: str | None) -> None:
    assert meaning(status, payload) == expected


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {},
        {"choices": [], "message": "hello"},
        {"choices": [], "base_resp": {"status_code": 0, "status_msg": ""}},
        {"choices": [], "error": None},
        {"choices": [], "error": {}},
        {"choices": [], "error": {"code": None, "message": ""}},
        {"usage": {}},
    ],
)
def test_a_payload_without_an_error_has_no_fault(payload: object) -> None:
    assert find_fault(payload) is None


@pytest.mark.parametrize(
    ("payload", "parameters"),
    [
        ({"error": {"param": "temperature", "message": "no"}}, {"temperature"}),
        ({"error": {"param": "response_format.json_schema"}}, {"response_format"}),
        ({"error": {"param": "messages[1].content"}}, {"messages"}),
        (
            {"detail": [{"loc": ["body", "stream_options", "include_usage"], "msg": "extra"}]},
            {"stream_options"},
        ),
        ({"detail": [{"loc": ["body", "seed"]}, {"loc": ["body", "top_p"]}]}, {"seed", "top_p"}),
        ({"error": {"message": "Unrecognized argument: stream_options"}}, {"stream_options"}),
        ({"error": {"message": "temperature is wrong", "param": None}}, set()),
        ({"detail": "Not Found"}, set()),
        ({"detail": [{"loc": []}, {"loc": 7}, "x"]}, set()),
        ({"error": {"param": ""}}, set()),
    ],
)
def test_the_parameters_at_fault_are_found(payload: object, parameters: set[str]) -> None:
    fault = find_fault(payload)
    assert fault is not None
    assert fault.parameters == parameters


def test_every_code_stands_in_the_table_once_and_in_lower_case() -> None:
    assert all(code == code.lower() for code in MEANINGS)
    assert {"rate", "quota", "key", "model", "moderated", "too_long", "again", "rejected"} == set(
        MEANINGS.values()
    )


VALUES = st.none() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=2), max_size=2)
ERRORS = st.dictionaries(
    st.sampled_from(["code", "type", "message", "detail", "param", "innererror", "status_code"]),
    VALUES | st.dictionaries(st.just("code"), VALUES, max_size=1),
    max_size=4,
)


@given(
    st.dictionaries(st.sampled_from(["error", "base_resp", "detail", "message", "choices"]), ERRORS | VALUES)
)
@settings(max_examples=200, deadline=None)
def test_no_payload_makes_the_search_fail(payload: object) -> None:
    fault = find_fault(payload)
    assert fault is None or fault.means(200) in {None, *MEANINGS.values()}
