from .files import ExportFormat as ExportFormat, export_events as export_events
