from .files import edited_config as edited_config, example_config as example_config
from .settings import (
    LlmSettings as LlmSettings,
    MustSettings as MustSettings,
    Settings as Settings,
    environment_values as environment_values,
    find_config as find_config,
    load_settings as load_settings,
    named_values as named_values,
    overlay as overlay,
    read_toml as read_toml,
    with_absolute_paths as with_absolute_paths,
    with_preset as with_preset,
)
