"""A hub reduced to its durable state and its lanes, around the real algorithm.

Every `yield` in a lane is a durable commit after which the process may die: dropping the generator is the
crash. Reads and calls in flight die with it.
"""

from __future__ import annotations

from dataclasses import replace

from isthmus.hub.sync.algorithm import (
    Context,
    HubComment,
    HubField,
    Limits,
    LinkState,
    RecordView,
    Rules,
    Sighting,
    admit,
    begin_read,
    link_from_json,
    mark_absent,
    mark_acked,
    mark_sent,
    mark_stale,
    mark_unknown,
    may_settle,
    merge,
    next_step,
    plan,
    refused,
    release,
    remap,
    settle,
    to_json,
)
from isthmus.hub.sync.algorithm.spelling import Unmapped
from isthmus.kernel.merge import FieldPolicy, Form, Shape, gather
from isthmus.kernel.record import MergePolicy

SECOND = 1_000_000
SHAPES = {
    "title": Shape(name="title", members=("title",)),
    "owned": Shape(name="owned", members=("owned",)),
    "priority": Shape(name="priority", members=("priority",)),
    "resolution": Shape(name="resolution", form=Form.GROUP, members=("state", "code")),
    "tags": Shape(name="tags", form=Form.SET, members=("tags",)),
}
ORDER = ("4", "3", "2", "1")
STATES = ("new", "progress", "done")


class Dialect:
    """The mapping of one simulated partner: its declared normaliser, its transitions, and a table of priorities
    (outward, inward; None: they are copied)."""

    def __init__(self, partner, table=None):
        self.partner = partner
        self.table = table

    @property
    def version(self):
        return "1" if self.table is None else str(sorted(self.table[0].items()))

    def outward(self, field, value):
        return self._looked_up(0, field, value)

    def _looked_up(self, way, field, value):
        if field != "priority" or self.table is None or value is None:
            return value
        if value not in self.table[way]:
            raise Unmapped(f"priority has no counterpart for {value!r}.")
        return self.table[way][value]

    def normal(self, field, value):
        if field == "priority":
            return self.outward(field, value)
        texts = {"title", "comment"} | ({"tags"} if self.partner.rewrites_tags else set())
        return self.partner.declared(value) if isinstance(value, str) and field in texts else value

    def inward(self, field, theirs):
        return self._looked_up(1, field, theirs)

    def path(self, field, start, end):
        table = self.partner.transitions
        if table is None or not self.partner.offers_path or start is None:
            return [end]
        frontier, known = [[start]], {start}
        while frontier:
            way = frontier.pop(0)
            for each in table.get(way[-1], ()):
                if each == end:
                    return [*way[1:], each]
                if each not in known:
                    known.add(each)
                    frontier.append([*way, each])
        return None


class World:
    """One record, linked to every partner."""

    def __init__(self, *partners, rules=None, policies=None, limits=None):
        self.partners = {each.name: each for each in partners}
        self.rules = rules or Rules()
        self.limits = limits or Limits()
        self.now = 1_000 * SECOND
        first = partners[0].name
        self.policies = {
            "title": FieldPolicy(policy=MergePolicy.LATEST, skew_bound=0),
            "owned": FieldPolicy(policy=MergePolicy.OWNER, owner=first),
            "priority": FieldPolicy(policy=MergePolicy.MAY_RAISE, owner=first, order=ORDER),
            "resolution": FieldPolicy(policy=MergePolicy.LATEST, skew_bound=0),
            "tags": FieldPolicy(policy=MergePolicy.UNION),
        } | (policies or {})
        self.record = RecordView(
            fields={name: HubField(value=gather(shape, {})) for name, shape in SHAPES.items()}
        )
        self.links = {each.name: LinkState() for each in partners}
        self.adopted: list = []
        self.conflicts: list = []
        self.notes: list = []
        self.admissions: list = []
        self.lanes: dict = {}
        self.tables: dict = {}
        self.counter = 0
        self._clock()

    # time and durable state

    def _clock(self):
        for partner in self.partners.values():
            partner.clock = self.now
            partner.land_late()

    def forward(self, seconds):
        self.now += int(seconds * SECOND)
        self._clock()

    def context(self, name):
        partner = self.partners[name]
        return Context(
            connection=name, shapes=SHAPES, policies=self.policies, spelling=Dialect(partner, self.tables.get(name)), now=self.now,
            comment_id=lambda key: f"from {key}", rules=self.rules, limits=self.limits,
        )  # fmt: skip

    def put(self, name, link):
        """Commit a link; through its stored form, as the real one."""
        self.links[name] = link_from_json(to_json(link))

    def take(self, name, outcome):
        self.put(name, outcome.link)
        self.adopted += [(name, each.part, each.value, each.field.hops) for each in outcome.takes]
        self.conflicts += [(name, each) for each in outcome.conflicts]
        self.notes += outcome.notes
        self.record = outcome.record
        for part in outcome.settled_conflicts:
            self.decide(part)

    # what people do

    def edit(self, part, value):
        held = self.record.fields[part]
        self.forward(0.001)
        fields = {**self.record.fields, part: HubField(value=value, at=self.now, trail=held.trail)}
        self.record = replace(self.record, fields=fields)

    def comment(self, body):
        number = 1 + sum(1 for each in self.record.comments if each.startswith("ours"))
        comments = {**self.record.comments, f"ours {number}": HubComment(body=body)}
        self.record = replace(self.record, comments=comments)

    def user(self, name, field, value):
        """A user of the partner edits the linked object there."""
        self.forward(0.001)
        if self.links[name].key:
            self.partners[name].user_edits(self.links[name].key, field, value)

    def decide(self, part, value=None):
        if value is not None:
            self.edit(part, value)
        self.record = replace(self.record, conflicts=self.record.conflicts - {part})
        for name, link in self.links.items():
            self.put(name, release(link, part))

    def remap(self, name, table):
        """Apply a new mapping; run the lane only if something is affected, as the service does."""
        old = self.context(name).spelling
        self.tables[name] = table
        link, affected = remap(self.links[name], self.record, old, self.context(name))
        self.put(name, link)
        if affected:
            self.run(name)
        return affected

    # what arrives

    def deliver(self, name, observation):
        """A webhook (or poll page) at the one door."""
        if observation.external.key != self.links[name].key:
            return
        self.sight(name, Sighting(observation=observation, seen_at=self.now))

    def sight(self, name, seen):
        admission = admit(self.links[name], seen, self.context(name))
        self.admissions.append((name, admission.verdict))
        self.put(name, admission.link)
        if admission.verdict == "merge":
            self.take(name, merge(self.links[name], self.record, seen, self.context(name)))

    def begin(self, name):
        link, start = begin_read(self.links[name])
        self.put(name, link)
        return start

    def read(self, name, start):
        """Observe now; deliver what comes of it later, as a real read would."""
        observation = self.partners[name].observe(self.links[name].key)
        own = observation.partner_actor == "us"
        return Sighting(observation=observation, seen_at=self.now, start=start, own=own)

    def compare(self, name):
        """The scheduled comparison: a fresh read is owed."""
        link = self.links[name]
        if link.key:
            from isthmus.hub.sync.algorithm import mark_dirty

            self.put(name, mark_dirty(link))

    # the lane

    def step(self, name):
        """Run one lane to its next durable commit; False when it has nothing to do."""
        lane = self.lanes.get(name) or self._converge(name)
        try:
            next(lane)
        except StopIteration:
            self.lanes.pop(name, None)
            return False
        self.lanes[name] = lane
        return True

    def run(self, name, steps=400):
        """Run one lane until it rests; returns whether it did."""
        return any(not self.step(name) for _ in range(steps))

    def crash(self):
        self.lanes.clear()

    def _converge(self, name):
        while True:
            step = next_step(self.links[name], self.context(name))
            match step.do:
                case "plan":
                    self.counter += 1
                    outcome = plan(self.links[name], self.record, self.context(name), key=f"k{self.counter}")
                    self.take(name, outcome)
                    if outcome.link.operation is None:
                        return
                    yield
                case "send":
                    yield from self._send(name)
                case "recover":
                    self.put(name, mark_unknown(self.links[name], self.now, self.context(name)))
                    yield
                case "wait":
                    return
                case "resend":
                    self.put(name, mark_absent(self.links[name]))
                    yield
                case "look_up":
                    yield
                    keys = self.partners[name].find(f"link {name}")
                    link = self.links[name]
                    self.put(
                        name, mark_acked(link, self.context(name), key=keys[0]) if keys else mark_absent(link)
                    )
                    yield
                case "read" | "read_back":
                    start = self.begin(name)
                    yield
                    seen = self.read(name, start)
                    yield
                    link = self.links[name]
                    if link.operation is None:
                        self.sight(name, seen)
                    elif may_settle(link, start):
                        self.take(name, settle(link, self.record, seen, self.context(name)))
                    yield

    def _send(self, name):
        self.put(name, mark_sent(self.links[name]))
        yield
        link, partner = self.links[name], self.partners[name]
        answer = self._call(partner, link, name)
        yield
        context = self.context(name)
        link = self.links[name]
        match answer.what:
            case "timeout":
                self.put(name, mark_unknown(link, self.now, context))
            case "stale":
                self.put(name, mark_stale(link))
            case "refused":
                self.take(name, refused(link, self.record, context, fields=answer.fields, text="refused"))
            case "ok":
                if link.operation.kind == "create" and not answer.key:
                    self.put(name, mark_unknown(link, self.now, context))
                    return
                acked = mark_acked(
                    link, context, key=answer.key, version=answer.version, comment_key=answer.comment_key
                )
                self.put(name, acked)
                if answer.observation is not None and acked.operation is not None:
                    seen = Sighting(observation=answer.observation, seen_at=self.now, own=True)
                    self.take(name, settle(acked, self.record, seen, context))
        yield

    def _call(self, partner, link, name):
        operation = link.operation
        if operation.kind == "comment":
            return partner.comment(link.key, operation.comment_body, operation.comment)
        values, add, remove, full = {}, (), (), None
        for part, sent in operation.sent.items():
            if part == "tags":
                add, remove = sent.add, sent.remove
                full = sent.outward if not self.rules.set_deltas else None
            else:
                values |= sent.outward if isinstance(sent.outward, dict) else {part: sent.outward}
        if operation.kind == "create":
            return partner.create(values, add, f"link {name}")
        expected = operation.version_before if self.rules.expected_version else ""
        return partner.write(link.key, values, add, remove, expected, full)

    # rest

    def quiesce(self, rounds=40):
        """Let everything settle: no faults, comparisons everywhere. Returns whether it came to rest."""
        for partner in self.partners.values():
            partner.faults.clear()
        for number in range(rounds):
            before = self.state()
            self.forward(120)
            for name, partner in self.partners.items():
                hooks, partner.webhooks = partner.webhooks, []
                for each in hooks:
                    self.deliver(name, each)
                if number % 2 == 0:
                    self.compare(name)
                if not self.run(name):
                    return False
            for part in sorted(self.record.conflicts):
                self.decide(part)
            if number > 2 and self.state() == before:
                return True
        return False

    def state(self):
        return (
            {name: field.value for name, field in self.record.fields.items()},
            {name: (body.body, body.deleted) for name, body in self.record.comments.items()},
            {name: {key: (part.agreed, part.seen, part.flag) for key, part in link.parts.items()} for name, link in self.links.items()},
            sum(len(each.writes) for each in self.partners.values()),
        )  # fmt: skip

    def value(self, part):
        return self.record.fields[part].value

    def at(self, name):
        return self.partners[name].things[self.links[name].key]
