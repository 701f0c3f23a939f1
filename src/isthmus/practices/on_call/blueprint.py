"""Section `on_call` of the blueprint: rotas, channels, ladders, who owns what, words, limits."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from isthmus.blueprint.sections import Section, register
from isthmus.kernel.duration import microseconds
from isthmus.practices.on_call.rules import ladder as ladders
from isthmus.practices.on_call.rules import rota as rotas
from isthmus.practices.on_call.rules import wording
from isthmus.practices.on_call.rules.quiet import weekly
from isthmus.practices.on_call.words import BUILT_IN

SECTION = "on_call"
OWNER, ASSIGNED = "@owner", "@assigned"
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Hour = Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]
Trigger = Literal["sla", "priority", "major", "age", "stall", "approval", "integration", "manual"]
Failure = Literal["dead_letter", "breaker", "silent", "parked"]
Shown = Literal["operational", "internal", "free_text", "personal"]
STEPS_MAX = 20
REPEATS_MAX = 20
PARTICIPANTS_MAX = 200


class OnCallHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hours on weekdays; an end at or before the start lies on the next day."""

    days: list[Day] = msgspec.field(default_factory=lambda: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
    start: Hour = "00:00"
    end: Hour = "24:00"


class LayerSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`participants` (user names) in turn, `rotation` each (P7D, PT12H), from `start` at `handover` on the wall
    clock of `zone` (default: the rota's). `hours`: only then; elsewhere lower layers count."""

    name: str
    participants: list[str]
    rotation: dt.timedelta = dt.timedelta(days=7)
    start: dt.date = dt.date(2024, 1, 1)
    handover: Hour = "09:00"
    zone: str = ""
    hours: list[OnCallHours] = []


class RotaSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A stack of layers: a later one wins where it has somebody. `organisation` (a name): whose rota it is
    (default: the root's); it serves that organisation and those below it."""

    layers: list[LayerSpec]
    zone: str = "UTC"
    organisation: str = ""


class ChannelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A way to reach somebody: a connection that can notify, and at it a `recipient` in the partner's words (empty: the
    channel is for people, whose contact cards hold the address).

    `fallback`: the channel that takes over when a message is refused or has no receipt after `patience`. `show`:
    classes of data that may stand in its messages; the rest is replaced by a link. `threads`: later messages
    about the same subject follow the first one.
    """

    connection: str
    recipient: str = ""
    fallback: str = ""
    patience: dt.timedelta = dt.timedelta(seconds=10)
    show: list[Shown] = msgspec.field(default_factory=lambda: ["operational", "internal"])
    locale: str = "en"
    zone: str = "UTC"
    threads: bool = False


class GroupSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a group is reached: its `rota`, its `channel`, its `members` (user names), each if given. `manager`: the
    person to whom a hierarchical escalation goes."""

    rota: str = ""
    channel: str = ""
    members: list[str] = []
    manager: str = ""


class TargetSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Exactly one of: a person (user name), a rota (or @owner: of the service or connection), a group (or @assigned),
    a channel, or manager_of a group (or @assigned)."""

    person: str = ""
    rota: str = ""
    group: str = ""
    channel: str = ""
    manager_of: str = ""

    def plain(self) -> dict[str, str]:
        """Return what is given."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name))}


class StepSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One step: `after` the start of the ladder, or when `percent` of the target is used. `assign`: functional
    escalation, the group that gets the incident with this step."""

    notify: list[TargetSpec]
    after: dt.timedelta | None = None
    percent: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    assign: str = ""


class LadderSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Steps until somebody acknowledges. `repeat`: climbed so many times more, each `repeat_after` the last step.
    `urgent`: also in quiet hours and in a flood. `template`: whose words (default: those of the trigger)."""

    steps: list[StepSpec]
    repeat: Annotated[int, msgspec.Meta(ge=0, le=REPEATS_MAX)] = 0
    repeat_after: dt.timedelta = dt.timedelta(minutes=10)
    urgent: bool = True
    template: str = ""


class PolicySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When which ladder begins. Empty lists fit all. `after`: how old, how long untouched, or how long a decision
    waits. `target`: of a service level ("response", "resolution"; empty: each). `failures` and `connections`: of
    integrations."""

    name: str
    trigger: Trigger
    ladder: str
    priorities: list[str] = []
    services: list[str] = []
    groups: list[str] = []
    target: str = ""
    after: dt.timedelta | None = None
    failures: list[Failure] = []
    connections: list[str] = []


class OwnersSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which rota owns which service and which connection; `otherwise` owns the rest."""

    services: dict[str, str] = {}
    connections: dict[str, str] = {}
    otherwise: str = ""


class PeopleSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How people are reached who have not said it: `methods` are channels for addresses of people, tried in order, each
    with the address of their sign-in (their mail address)."""

    methods: list[str] = []
    locale: str = "en"


class NoiseSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """At most `per_recipient` messages within `window`; what is more becomes one digest. `urgent_per_recipient`
    bounds urgent messages in the same way."""

    per_recipient: Annotated[int, msgspec.Meta(ge=1)] = 10
    urgent_per_recipient: Annotated[int, msgspec.Meta(ge=1)] = 30
    window: dt.timedelta = dt.timedelta(minutes=10)


class TextSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Words with places such as {number} or {time_left}."""

    title: str
    text: str


class WatchSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How connections are watched: looked at every `every`; `silent_after`: a source that has been heard before and
    then says nothing for so long (per connection; none: never)."""

    every: dt.timedelta = dt.timedelta(seconds=10)
    silent_after: dict[str, dt.timedelta] = {}


class OnCallSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who is reached when, how, with which words."""

    rotas: dict[str, RotaSpec] = {}
    channels: dict[str, ChannelSpec] = {}
    groups: dict[str, GroupSpec] = {}
    ladders: dict[str, LadderSpec] = {}
    policies: list[PolicySpec] = []
    owners: OwnersSpec = OwnersSpec()
    people: PeopleSpec = PeopleSpec()
    noise: NoiseSpec = NoiseSpec()
    watch: WatchSpec = WatchSpec()
    templates: dict[str, dict[str, TextSpec]] = {}


def rota_of(name: str, spec: RotaSpec) -> rotas.Rota:
    """Return the rule's form of a rota; participants are user names."""
    return rotas.Rota(name=name, layers=tuple(_layer(each, each.zone or spec.zone) for each in spec.layers))


def _layer(spec: LayerSpec, zone: str) -> rotas.Layer:
    hour, _, minute = spec.handover.partition(":")
    start = dt.datetime.combine(spec.start, dt.time()) + dt.timedelta(hours=int(hour), minutes=int(minute))
    hours = weekly([msgspec.to_builtins(each) for each in spec.hours], zone) if spec.hours else None
    return rotas.Layer(
        name=spec.name, participants=tuple(spec.participants), rotation=spec.rotation, start=start, zone=zone, hours=hours
    )  # fmt: skip


def ladder_of(name: str, spec: LadderSpec) -> ladders.Ladder:
    """Return the rule's form of a ladder: what an escalation is pinned to."""
    return ladders.Ladder(
        name=name,
        steps=[
            ladders.Step(
                after=None if each.after is None else microseconds(each.after),
                percent=each.percent,
                notify=[target.plain() for target in each.notify],
                assign=each.assign,
            )
            for each in spec.steps
        ],
        repeat=spec.repeat,
        repeat_after=microseconds(spec.repeat_after),
        urgent=spec.urgent,
        template=spec.template,
    )


def templates_of(section: OnCallSection, name: str) -> Mapping[str, wording.Template]:
    """Return the words of a message by locale: the blueprint's over those that come with Isthmus."""
    own = {
        locale: wording.Template(title=each.title, text=each.text)
        for locale, each in section.templates.get(name, {}).items()
    }
    return {**BUILT_IN.get(name, {}), **own}


def declare() -> None:
    """Register the section; called once from `ready`."""
    from isthmus.practices.on_call.checks import check

    register(
        Section(
            name=SECTION,
            schema=OnCallSection,
            help="Who is on call, how people are reached, and which ladder begins when.",
            default=OnCallSection,
            check=check,
        )
    )
