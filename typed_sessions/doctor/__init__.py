"""``manage.py typed_sessions doctor``: what is wrong with a project's sessions, and what can be mended.

Each check is one small function with a name, and says how bad it is, what was found, and what to do. A store that does
not answer, or does not allow to be asked, is a finding and no error.
"""

from .examination import examine, worst
from .findings import Finding, Level
from .inspections import Inspection, inspection

__all__ = ["Finding", "Inspection", "Level", "examine", "inspection", "worst"]
