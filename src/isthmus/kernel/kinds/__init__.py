"""All record kinds, one file per practice; `KINDS` is the only registry."""

from __future__ import annotations

from isthmus.kernel.kinds.change import APPROVAL, CHANGE, CHANGE_CALENDAR, FREEZE, GATE_DECISION
from isthmus.kernel.kinds.configuration import CI, CI_RELATION, CMDB_GAP
from isthmus.kernel.kinds.desks import (
    CUSTODY,
    INCIDENT_MERGE,
    INCIDENT_REVIEW,
    MAJOR_INCIDENT,
    TRIGGER_HANDOVER,
    WAIT,
)
from isthmus.kernel.kinds.incident import ATTACHMENT, COMMENT, INCIDENT, SUSPECT
from isthmus.kernel.kinds.installation import (
    BLUEPRINT_APPROVAL,
    GENERATION,
    INTAKE_OFFSET,
    LIST_CHOICE,
    LIST_VIEW,
    ORGANISATION,
    PERSON,
    ROLE_GRANT,
    SERVICE_ACCOUNT,
    SHARE,
    SYSTEM_EVENT,
)
from isthmus.kernel.kinds.monitoring import ACCURACY_SAMPLE, ALERT, AUTOMATION_MODE, SILENCE
from isthmus.kernel.kinds.on_call import (
    ACKNOWLEDGEMENT,
    CONTACT_CARD,
    ESCALATION,
    NOTIFICATION,
    ROTA_OVERRIDE,
)
from isthmus.kernel.kinds.problem import KNOWN_ERROR, KNOWN_ERROR_MATCH, PROBLEM
from isthmus.kernel.kinds.service_level import SLA_CLOCK, SLA_PARTNER_CLOCK
from isthmus.kernel.kinds.sync import CONFLICT, LINK
from isthmus.kernel.record import RecordKind

KINDS: dict[str, RecordKind] = {
    kind.name: kind
    for kind in (
        ORGANISATION,
        SHARE,
        PERSON,
        ROLE_GRANT,
        SERVICE_ACCOUNT,
        LIST_VIEW,
        LIST_CHOICE,
        GENERATION,
        BLUEPRINT_APPROVAL,
        INTAKE_OFFSET,
        SYSTEM_EVENT,
        ALERT,
        SILENCE,
        ACCURACY_SAMPLE,
        AUTOMATION_MODE,
        INCIDENT,
        COMMENT,
        ATTACHMENT,
        SUSPECT,
        CUSTODY,
        MAJOR_INCIDENT,
        TRIGGER_HANDOVER,
        WAIT,
        INCIDENT_MERGE,
        INCIDENT_REVIEW,
        PROBLEM,
        KNOWN_ERROR,
        KNOWN_ERROR_MATCH,
        CI,
        CI_RELATION,
        CMDB_GAP,
        CHANGE,
        APPROVAL,
        FREEZE,
        CHANGE_CALENDAR,
        GATE_DECISION,
        LINK,
        CONFLICT,
        SLA_CLOCK,
        SLA_PARTNER_CLOCK,
        ESCALATION,
        NOTIFICATION,
        ACKNOWLEDGEMENT,
        ROTA_OVERRIDE,
        CONTACT_CARD,
    )
}
