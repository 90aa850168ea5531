from .chat import OpenAIProvider as OpenAIProvider
from .endpoint import (
    CallLimits as CallLimits,
    Endpoint as Endpoint,
    Sampling as Sampling,
    is_loopback as is_loopback,
    parse_address as parse_address,
    proxy_of as proxy_of,
)
from .probe import (
    ListedModel as ListedModel,
    OutputLimit as OutputLimit,
    Prober as Prober,
    ProbeReply as ProbeReply,
    Support as Support,
    list_models as list_models,
)
from .transport import Obstacle as Obstacle, UnreachableError as UnreachableError, find_route as find_route
