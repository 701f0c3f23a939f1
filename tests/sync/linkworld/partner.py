"""A hostile partner system in memory: one class, every unpleasantness a switch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from isthmus.kernel.observation import ExternalRef, Observation, ObservedComment

FIELDS = ("title", "owned", "priority", "state", "code")


@dataclass
class Thing:
    """One object at the partner. `held` keeps the values of every version for lagging replicas."""

    key: str
    correlation: str
    values: dict = field(default_factory=dict)
    tags: set = field(default_factory=set)
    comments: list = field(default_factory=list)
    version: int = 1
    born: int = 0
    modifier: str = "us"
    at: int = 0


@dataclass
class Answer:
    """What the client sees of a call: ok, timeout, refused or stale."""

    what: str
    observation: Observation | None = None
    version: str = ""
    key: str = ""
    comment_key: str = ""
    fields: tuple = ()


@dataclass
class Partner:
    """`declared` and `rewrites` are applied to texts that we write; only the first is known to the mapping."""

    name: str
    declared: Callable[[str], str] = lambda text: text
    rewrites: Callable[[str], str] = lambda text: text
    rewrites_tags: bool = False
    versions: str = "exact"  # exact | coarse | none
    if_match: bool = True
    returns_record: bool = True
    proves_own: bool = True
    names_refused: bool = True
    markers: bool = True
    transitions: dict | None = None
    offers_path: bool = True
    index_lag: int = 0
    ignores: set = field(default_factory=set)
    refuses: Callable[[str, object], bool] = lambda _field, _value: False
    things: dict = field(default_factory=dict)
    webhooks: list = field(default_factory=list)
    late: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    writes: list = field(default_factory=list)
    overwritten: list = field(default_factory=list)
    clock: int = 0
    counter: int = 0

    # what users of the partner do

    def user_edits(self, key, name, value):
        thing = self.things[key]
        if name == "tags":
            thing.tags ^= {value}
        else:
            thing.values[name] = value
        self._touch(thing, "user")

    def user_comments(self, key, body):
        self.counter += 1
        self.things[key].comments.append([f"{self.name}-c{self.counter}", body, "", False])
        self._touch(self.things[key], "user")

    def user_edits_comment(self, key, index, body):
        self.things[key].comments[index][1] = body
        self._touch(self.things[key], "user")

    def user_deletes_comment(self, key, index):
        self.things[key].comments[index][3] = True
        self._touch(self.things[key], "user")

    # what our client calls

    def create(self, values, tags, correlation):
        return self._call(lambda: self._create(values, tags, correlation))

    def write(self, key, values, add, remove, expected, full_tags=None):
        return self._call(lambda: self._write(key, values, add, remove, expected, full_tags))

    def comment(self, key, body, correlation):
        return self._call(lambda: self._comment(key, body, correlation))

    def find(self, correlation):
        return [
            each.key for each in self.things.values()
            if each.correlation == correlation and each.born + self.index_lag <= self.clock
        ]  # fmt: skip

    def observe(self, key, event=""):
        thing = self.things[key]
        version = {"exact": str(thing.version), "coarse": str(thing.version // 3 + 1), "none": ""}[
            self.versions
        ]
        return Observation(
            kind="incident",
            external=ExternalRef(connection=self.name, kind="thing", key=key),
            values={**thing.values, "tags": sorted(thing.tags)},
            version=version,
            coarse=self.versions == "coarse",
            occurred_at=thing.at,
            comments=tuple(
                ObservedComment(key=k, body=b, correlation=m if self.markers else "", deleted=gone)
                for k, b, m, gone in thing.comments
            ),
            attachments=(),
            correlation=thing.correlation,
            partner_actor=thing.modifier if self.proves_own else "",
            event_id=event,
        )

    def land_late(self):
        """Commit the requests whose client has given up already, each at its own time: a clock that was forwarded
        past it must not make it younger, or a search would miss what was there long ago."""
        now = self.clock
        due = [each for each in self.late if each[0] <= now]
        self.late = [each for each in self.late if each[0] > now]
        for at, act in due:
            self.clock = at
            act()
        self.clock = now

    def _call(self, act):
        self.land_late()
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "lost":
            return Answer("timeout")
        if fault == "late":
            self.late.append((self.clock + 40_000_000, act))
            return Answer("timeout")
        if fault == "lying":
            return Answer("ok", key="")
        answer = act()
        if fault == "after_commit":
            return Answer("timeout")
        return answer

    def _create(self, values, tags, correlation):
        if refused := self._refused(values):
            return Answer("refused", fields=refused if self.names_refused else ())
        self.counter += 1
        key = f"{self.name}-{self.counter}"
        thing = Thing(key=key, correlation=correlation, born=self.clock)
        thing.values = dict.fromkeys(FIELDS)
        self._store(thing, values)
        thing.tags = {self._tag(each) for each in tags}
        self.things[key] = thing
        self.writes.append(("create", key, dict(values)))
        self._touch(thing, "us")
        return self._ok(thing)

    def _write(self, key, values, add, remove, expected, full_tags):
        thing = self.things[key]
        now = self.observe(key).version
        if self.if_match and expected and now and expected != now:
            return Answer("stale")
        if thing.modifier == "user" and expected and now != expected:
            self.overwritten.append(key)
        if refused := self._refused({k: v for k, v in values.items() if thing.values.get(k) != v}, thing):
            return Answer("refused", fields=refused if self.names_refused else ())
        self._store(thing, values)
        if full_tags is not None:
            thing.tags = {self._tag(each) for each in full_tags}
        thing.tags = (thing.tags | {self._tag(each) for each in add}) - set(remove)
        self.writes.append(("write", key, {**values, "+": add, "-": remove}))
        self._touch(thing, "us")
        return self._ok(thing)

    def _comment(self, key, body, correlation):
        self.counter += 1
        name = f"{self.name}-c{self.counter}"
        self.things[key].comments.append([name, self.declared(body), correlation, False])
        self.writes.append(("comment", key, body))
        self._touch(self.things[key], "us")
        return Answer("ok", comment_key=name if self.returns_record else "", key=key)

    def _store(self, thing, values):
        for name, value in values.items():
            if name in self.ignores:
                continue
            is_text = isinstance(value, str) and name == "title"
            thing.values[name] = self.rewrites(self.declared(value)) if is_text else value

    def _tag(self, tag):
        return self.rewrites(self.declared(tag)) if self.rewrites_tags else tag

    def _refused(self, values, thing=None):
        found = [name for name, value in values.items() if self.refuses(name, value)]
        if self.transitions is not None and thing is not None and "state" in values:
            start = thing.values.get("state")
            if start is not None and values["state"] not in self.transitions.get(start, ()):
                found.append("state")
        return tuple(found)

    def _touch(self, thing, modifier):
        thing.version += 1
        thing.modifier = modifier
        thing.at = self.clock
        self.webhooks.append(self.observe(thing.key))

    def _ok(self, thing):
        seen = self.observe(thing.key)
        return Answer(
            "ok", key=thing.key, observation=seen if self.returns_record else None,
            version=seen.version if self.versions == "exact" and self.returns_record else "",
        )  # fmt: skip
