from .config_files import (
    DEFAULT_CONFIG as DEFAULT_CONFIG,
    explained_settings as explained_settings,
    find_config as find_config,
    own_config as own_config,
    read_toml as read_toml,
    write_settings as write_settings,
)
from .settings import (
    MustSettings as MustSettings,
    Settings as Settings,
    environment_values as environment_values,
    load_settings as load_settings,
    named_values as named_values,
    overlay as overlay,
    with_absolute_paths as with_absolute_paths,
    with_preset as with_preset,
)
