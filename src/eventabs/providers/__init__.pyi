from .openai import (
    BatchProfile as BatchProfile,
    BatchService as BatchService,
    CallLimits as CallLimits,
    Endpoint as Endpoint,
    GrammarField as GrammarField,
    KnownPrice as KnownPrice,
    ListedModel as ListedModel,
    OpenAIProvider as OpenAIProvider,
    OutputLimit as OutputLimit,
    Preset as Preset,
    Prober as Prober,
    QueueFullError as QueueFullError,
    RemoteJob as RemoteJob,
    ReplyLine as ReplyLine,
    ReplyLines as ReplyLines,
    Sampling as Sampling,
    Support as Support,
    UnreachableError as UnreachableError,
    UnreachableReason as UnreachableReason,
    check_endpoint as check_endpoint,
    find_route as find_route,
    find_tier as find_tier,
    hosts_with_keys as hosts_with_keys,
    is_loopback as is_loopback,
    list_models as list_models,
    load_preset as load_preset,
    parse_address as parse_address,
    preset_names as preset_names,
    request_fields as request_fields,
    request_line as request_line,
    tier_base_url as tier_base_url,
)
from .price import Price as Price
from .ray import Cluster as Cluster, connected as connected
from .registry import (
    ProviderConfig as ProviderConfig,
    ProviderName as ProviderName,
    kind_of as kind_of,
    open_provider as open_provider,
)
from .retry import CallCancelledError as CallCancelledError, Complete as Complete, OnRetry as OnRetry
from .rules import load_rules as load_rules, rule_events as rule_events, shipped_rules as shipped_rules
