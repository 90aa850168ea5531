from .files import Exported as Exported, ExportFormat as ExportFormat, export_events as export_events
