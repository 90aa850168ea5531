"""What settings and flags choose between. The command line loads these on every start, so they load nothing."""

from typing import Literal

AnswerForm = Literal["lines", "schema"]
Compaction = Literal["line", "dense"]
Detail = Literal["day", "fine", "journeys"]
Engine = Literal["local", "ray"]
ExportFormat = Literal["csv", "xlsx", "parquet", "sqlite", "xes"]
ProviderChoice = Literal["auto", "openai", "rules"]
RunMode = Literal["live", "files", "batch"]
TierName = Literal["standard", "flex"]
TraceCases = Literal["users", "journeys"]
