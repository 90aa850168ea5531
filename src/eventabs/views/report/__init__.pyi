from .page import (
    NAME as NAME,
    ReportPage as ReportPage,
    render_page as render_page,
    render_report as render_report,
    write_report as write_report,
)
from .records import times_of as times_of
