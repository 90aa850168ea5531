from .edits import edited_config as edited_config
from .event_settings import MustSettings as MustSettings
from .example import example_config as example_config
from .layers import (
    find_config as find_config,
    overlay as overlay,
    read_toml as read_toml,
    with_preset as with_preset,
)
from .settings import (
    LlmSettings as LlmSettings,
    Settings as Settings,
    environment_values as environment_values,
    load_settings as load_settings,
    named_values as named_values,
    with_absolute_paths as with_absolute_paths,
)
