"""What settings and flags choose between. The command line loads these on every start, so they load nothing."""

from typing import Literal

AnswerForm = Literal["lines", "json", "schema"]
Compaction = Literal["line", "legend", "day"]
Detail = Literal["brief", "day", "fine"]
ProviderChoice = Literal["auto", "openai", "rules"]
RunMode = Literal["live", "files", "batch"]
TierName = Literal["standard", "flex"]
