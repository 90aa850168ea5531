"""Error codes that endpoints are known to send, and what each means.

Codes are compared in lower case with the `code`, the inner code and the `type` of an error, in that
order. Sources, and where they speak; codes change, so an unknown one falls back to its HTTP status:

- OpenAI: https://platform.openai.com/docs/guides/error-codes/api-errors
- Azure: https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter
- Alibaba (Qwen): https://help.aliyun.com/zh/model-studio/developer-reference/error-code
- Z.AI, Zhipu (GLM): https://docs.z.ai/api-reference/api-code
- Moonshot (Kimi): https://platform.kimi.ai/docs/api/errors.md
- MiniMax: https://platform.minimax.io/docs/api-reference/errorcode.md
- Volcengine (Doubao): https://www.volcengine.com/docs/82379/1299023
- UCloud: https://www.ucloud-global.com/en/docs/modelverse/modelverse/modelverse/error-code
- llama.cpp: https://github.com/ggml-org/llama.cpp/pull/15780
"""

from typing import Literal

Meaning = Literal["key", "quota", "model", "moderated", "too_long", "rate", "again", "rejected"]

_CODES: dict[Meaning, str] = {
    "key": """
        invalid_api_key incorrect_api_key_error invalid_authentication_error authentication_error
        account_deactivated permission_denied_error invalidapikey auth_error
        1110 1111 1112 1121 1220
        authenticationerror accessdenied accessdenied.unpurchased
    """,
    "quota": """
        insufficient_quota billing_hard_limit_reached billing_not_active arrearage
        exceeded_current_quota_error insufficient_balance accountoverdueerror
        1113 1304 1308 1309 1310
    """,
    "model": """
        model_not_found model_not_supported modelnotfound modelnotopen invalidendpointormodel.notfound
        resource_not_found_error model_error 1211 1221 1222
    """,
    "moderated": """
        content_filter content_policy_violation responsibleaipolicyviolation
        datainspectionfailed data_inspection_failed sensitive_check_error invalid_messages
        sensitivecontentdetected inputtextsensitivecontentdetected outputtextsensitivecontentdetected
        inputtextriskdetection outputtextriskdetection 1301
    """,
    "too_long": """
        context_length_exceeded string_above_max_length exceed_context_size_error tokens_too_long 1261
    """,
    "rate": """
        rate_limit_exceeded rate_limit_error rate_limit_reached_error rate_limit
        engine_overloaded_error overloaded_error limit_requests limit_burst_rate
        throttling throttling.ratequota throttling.burstrate throttling.allocationquota
        ratelimitexceeded serveroverloaded
        1302 1303 1305 1312
    """,
    "again": """
        server_error internal_error internal_server_error internalerror internalerror.algo
        model_server_error timeout requesttimeout service_unavailable unavailable_error
        1120 1200 1230 1234
    """,
    "rejected": """
        invalid_request_error invalidparameter invalid_parameter_error unsupported_parameter
        unsupported_value param_error badrequesterror 1210 1212 1213 1214 1215
    """,
}
MEANINGS: dict[str, Meaning] = {code: meaning for meaning, codes in _CODES.items() for code in codes.split()}

# MiniMax says these in base_resp.status_code, mostly inside a 200.
BASE_RESP: dict[int, Meaning] = {
    1000: "again",
    1001: "again",
    1002: "rate",
    1004: "key",
    1008: "quota",
    1024: "again",
    1026: "moderated",
    1027: "moderated",
    1033: "again",
    1039: "rate",
    1041: "rate",
    1042: "rejected",
    2013: "rejected",
    2045: "rate",
    2049: "key",
    2056: "quota",
}

# vLLM names the cause of a request that is too long only as the parameter at fault.
TOO_LONG_PARAMETERS = frozenset({"input_tokens", "input_text"})
