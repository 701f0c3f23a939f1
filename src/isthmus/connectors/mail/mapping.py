"""From a mail to an incident, with how sure the reading is. Pure.

100: labelled lines say all that is required. 90: a token and the subject do. 50: only a subject and prose. A value that
is in no table, or two labels that contradict each other, leave at most 40: a person looks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from isthmus.connectors.kit.alerts import moment
from isthmus.connectors.kit.ports import Context
from isthmus.connectors.mail.config import MailConfig
from isthmus.connectors.mail.message import Mail
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.mapping import FieldMapping, RecordMapping
from isthmus.kernel.observation import ExternalRef, Observation, ObservedComment
from isthmus.kernel.record import Json
from isthmus.kernel.spelling import Known

THREAD = "mail"
_LABELLED = re.compile(r"[ \t]*([A-Za-z][A-Za-z _-]{0,40}?)[ \t]*:[ \t]*(.*)")
_BRACKET = re.compile(r"\[([A-Za-z0-9._-]{1,60})\]")
_LEVELS = {
    "1": "1", "highest": "1", "critical": "1", "2": "2", "high": "2", "3": "3", "medium": "3", "normal": "3",
    "4": "4", "low": "4",
}  # fmt: skip

INCIDENT = RecordMapping(
    kind="incident",
    external_kind=THREAD,
    fields={
        "title": FieldMapping(external="title", direction="in"),
        "description": FieldMapping(external="description", direction="in"),
        "impact": FieldMapping(external="impact", direction="in", inward=_LEVELS),
        "urgency": FieldMapping(external="urgency", direction="in", inward=_LEVELS),
        "category": FieldMapping(external="category", direction="in"),
        "assignment_group": FieldMapping(external="group", direction="in"),
    },
)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a mail says, how sure that is, and what is wrong or missing."""

    values: Mapping[str, str]
    confidence: int
    problems: tuple[Problem, ...]


def reading(mail: Mail, config: MailConfig, mapping: RecordMapping, given: Mapping[str, Json]) -> Reading:
    """Return what a mail says; `given` are values of a person who read it, and these are sure."""
    labelled, contradicted = _labelled(mail.text, config)
    token = _token(mail, config)
    values: dict[str, str] = {**config.tokens.get(token, {}), **labelled}
    if "title" not in values and mail.subject:
        values["title"] = _plain_subject(mail.subject, config)
    values.setdefault("description", mail.text)
    values |= {name: str(value) for name, value in given.items()}
    values = {name: value.strip() for name, value in values.items() if value.strip()}
    spelled = {name: _spelled(value, name) for name, value in values.items()}
    wrong = [
        Problem(path=f"/{name}", message="is not a value that is known", remedy="Give one that is.")
        for name, value in spelled.items()
        if name in mapping.fields and not isinstance(mapping.inward(name, value), Known)
    ]
    wrong += [
        Problem(path=f"/{name}", message="is said twice, differently", remedy="Give the one that counts.")
        for name in contradicted
        if name not in given
    ]
    missing = [
        Problem(path=f"/{name}", message="is not said", remedy="Give it.")
        for name in config.required
        if name not in values
    ]
    if len(mail.attachments) > config.attachments_max and not given:
        wrong.append(Problem(path="/attachments", message="are too many", remedy="Look at the mail."))
    if mail.cut and not given:
        wrong.append(
            Problem(path="", message="is cut off: it is too large", remedy="Look at it in the mailbox.")
        )
    confidence = _confidence(config, labelled, token, given, doubtful=bool(wrong or missing))
    return Reading(values=spelled, confidence=confidence, problems=(*wrong, *missing))


def observation(mail: Mail, found: Reading, context: Context, config: MailConfig) -> Observation:
    """Return the incident that a mail opens."""
    return _observed(mail, context, config, values=dict[str, Json](found.values), confidence=found.confidence)


def reply(mail: Mail, context: Context, config: MailConfig) -> Observation:
    """Return the comment that an answer in a thread is; it changes nothing else."""
    comment = ObservedComment(
        key=mail.id, body=mail.text, author=mail.sender, public=True, at=moment(mail.sent_at)
    )
    return _observed(mail, context, config, values={}, confidence=100, comments=(comment,))


def is_reply(mail: Mail, config: MailConfig) -> bool:
    """Return whether a mail answers another, or carries a reference and nothing that is labelled."""
    return bool(mail.root) and mail.root != mail.id and not _labelled(mail.text, config)[0]


def key_of(mail: Mail, config: MailConfig) -> str:
    """Return what a mail is about: the sender's own reference, else the mail that began its thread."""
    found = re.search(config.reference, mail.subject) if config.reference else None
    return f"ref:{found[1]}" if found else mail.root or mail.id


def unsure(found: Reading, config: MailConfig) -> Rejected:
    """Return the refusal that sends a mail to a person."""
    return Rejected(
        f"The mail says too little to be an incident (confidence {found.confidence} of {config.confidence_min}).",
        remedy="Read it and give what is missing; nothing is guessed.",
        problems=found.problems
        or (Problem(path="", message="is prose", remedy="Confirm or correct the title."),),
    )


def _observed(
    mail: Mail,
    context: Context,
    config: MailConfig,
    *,
    values: Mapping[str, Json],
    confidence: int,
    comments: tuple[ObservedComment, ...] | None = None,
) -> Observation:
    files: list[Json] = [
        {"name": each.name, "kind": each.kind, "bytes": each.size} for each in mail.attachments
    ]
    return Observation(
        kind="incident",
        external=ExternalRef(
            connection=context.connection, kind=THREAD, key=key_of(mail, config), label=mail.subject[:100]
        ),
        values=values,
        event_id=mail.id,
        occurred_at=moment(mail.sent_at),
        partner_actor=mail.sender,
        comments=comments,
        evidence={"confidence": confidence, **({"attachments": files} if files else {})},
    )


def _labelled(text: str, config: MailConfig) -> tuple[dict[str, str], list[str]]:
    """Return the values of labelled lines, and the fields that are said twice, differently.

    A description goes on until the next label; every other value ends with its line.
    """
    found: dict[str, str] = {}
    contradicted: list[str] = []
    description: list[str] | None = None
    for line in text.split("\n"):
        match = _LABELLED.fullmatch(line)
        name = config.labels.get(match[1].lower()) if match else None
        if match is None or name is None:
            if description is not None:
                description.append(line)
            continue
        description = None
        if name in found and found[name] != match[2].strip():
            contradicted.append(name)
        found[name] = match[2].strip()
        if name == "description":
            description = [match[2]]
    if "description" in found and description:
        found["description"] = "\n".join(description).strip()
    return {name: value for name, value in found.items() if value}, contradicted


def _token(mail: Mail, config: MailConfig) -> str:
    """Return the known token of a mail: behind the plus of our address, or in brackets in the subject."""
    ours = {each.lower() for each in config.addresses}
    for address in mail.recipients:
        local, _, domain = address.rpartition("@")
        base, plus, token = local.partition("+")
        if plus and f"{base}@{domain}" in ours and token in config.tokens:
            return token
    return next((each for each in _BRACKET.findall(mail.subject) if each in config.tokens), "")


def _plain_subject(subject: str, config: MailConfig) -> str:
    """Return the subject without the tokens and references that are for machines."""
    text = re.sub(config.reference, "", subject) if config.reference else subject
    text = _BRACKET.sub(lambda found: "" if found[1] in config.tokens else found[0], text)
    return " ".join(text.split()) or subject


def _spelled(value: str, name: str) -> str:
    return value.lower() if name in {"impact", "urgency"} else value


def _confidence(
    config: MailConfig, labelled: Mapping[str, str], token: str, given: Mapping[str, Json], *, doubtful: bool
) -> int:
    if doubtful:
        return 40
    if given or set(config.required) <= labelled.keys():
        return 100
    return 90 if token else 50
