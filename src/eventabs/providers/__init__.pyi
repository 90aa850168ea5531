from .openai.ability_requests import (
    COUNTING_TOKENS as COUNTING_TOKENS,
    Prober as Prober,
    Support as Support,
    list_models as list_models,
)
from .openai.batch_service import (
    FINAL as FINAL,
    GONE as GONE,
    BatchService as BatchService,
    QueueFullError as QueueFullError,
    RemoteJob as RemoteJob,
    ReplyLines as ReplyLines,
    request_fields as request_fields,
    request_line as request_line,
)
from .openai.client import (
    OpenAIProvider as OpenAIProvider,
    UnreachableError as UnreachableError,
    UnreachableReason as UnreachableReason,
    find_route as find_route,
    parse_address as parse_address,
    proxy_of as proxy_of,
)
from .openai.endpoint_and_wire import (
    BatchProfile as BatchProfile,
    Endpoint as Endpoint,
    GrammarField as GrammarField,
    LlmSettings as LlmSettings,
    Preset as Preset,
    Price as Price,
    endpoint_of as endpoint_of,
    hosts_with_keys as hosts_with_keys,
    is_loopback as is_loopback,
    load_preset as load_preset,
    preset_names as preset_names,
    redacted_line as redacted_line,
)
from .ray import Cluster as Cluster, connected as connected
from .retries_and_rate_limits import (
    Complete as Complete,
    Pacer as Pacer,
    Provider as Provider,
    open_provider as open_provider,
)
from .rules import (
    RulesProvider as RulesProvider,
    load_rules as load_rules,
    rule_events as rule_events,
    shipped_rules as shipped_rules,
)
