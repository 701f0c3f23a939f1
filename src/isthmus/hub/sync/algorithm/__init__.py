"""The pure link state machine: admit, merge, plan, settle. No I/O; `now` and ticks are arguments."""

from isthmus.hub.sync.algorithm.admission import Admission, admit, begin_read, compare_versions, mark_dirty
from isthmus.hub.sync.algorithm.merging import merge
from isthmus.hub.sync.algorithm.outcome import (
    Blocked,
    CommentChange,
    ConflictFound,
    Context,
    Note,
    Outcome,
    Sighting,
    Take,
)
from isthmus.hub.sync.algorithm.planning import plan
from isthmus.hub.sync.algorithm.revision import Adoption, adopt, release, remap, reopen_parked
from isthmus.hub.sync.algorithm.rules import Limits, Rules
from isthmus.hub.sync.algorithm.settling import (
    mark_absent,
    mark_acked,
    mark_sent,
    mark_stale,
    mark_unknown,
    refused,
    settle,
    withdraw,
)
from isthmus.hub.sync.algorithm.spelling import Spelling, Unmapped
from isthmus.hub.sync.algorithm.state import (
    HubComment,
    HubField,
    LinkComment,
    LinkPart,
    LinkState,
    Operation,
    RecordView,
    Sent,
    fingerprint,
    link_from_json,
    to_json,
)
from isthmus.hub.sync.algorithm.stepping import Step, may_settle, next_step

__all__ = [
    "Admission", "Adoption", "Blocked", "CommentChange", "ConflictFound", "Context", "HubComment", "HubField",
    "Limits", "LinkComment", "LinkPart", "LinkState", "Note", "Operation", "Outcome", "RecordView", "Rules",
    "Sent", "Sighting", "Spelling", "Step", "Take", "Unmapped", "admit", "adopt", "begin_read",
    "compare_versions", "fingerprint", "link_from_json", "mark_absent", "mark_acked", "mark_dirty", "mark_sent", "mark_stale",
    "mark_unknown", "may_settle", "merge", "next_step", "plan", "refused", "release", "remap", "reopen_parked",
    "settle", "to_json", "withdraw",
]  # fmt: skip
