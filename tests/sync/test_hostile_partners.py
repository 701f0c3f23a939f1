"""Random edits, faults and crashes over two to four hostile partners: everything comes to rest, equal
everywhere except where a part is parked in sight."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from linkworld.partner import Partner
from linkworld.world import SHAPES, STATES, Dialect, World

from isthmus.hub.sync.algorithm.spelling import normal
from isthmus.kernel.merge import gather

TEXTS = st.sampled_from(["a", "b", "Long", " padded ", "<p>x</p>", "abc", "ABC", ""])
TAGS = st.sampled_from(["x", "y", "z", "W"])
NAMES = ("A", "B", "C", "D")
REWRITES = {
    "none": lambda text: text,
    "upper": str.upper,
    "html": lambda text: f"<p>{text}</p>",
    "cut": lambda text: text[:2],
    "trim": str.strip,
}
TABLE = {"new": ("progress",), "progress": ("done", "new"), "done": ("progress",)}

traits = st.fixed_dictionaries(
    {
        "declared": st.sampled_from(["none", "upper", "trim", "cut"]),
        "rewrites": st.sampled_from(["none", "none", "none", "upper", "html"]),
        "versions": st.sampled_from(["exact", "exact", "coarse", "none"]),
        "if_match": st.booleans(),
        "returns_record": st.booleans(),
        "proves_own": st.booleans(),
        "names_refused": st.booleans(),
        "markers": st.booleans(),
        "rewrites_tags": st.sampled_from([False, False, True]),
        "transitions": st.sampled_from([None, None, TABLE]),
        "offers_path": st.booleans(),
        "index_lag": st.sampled_from([0, 20_000_000]),
        "ignores": st.sampled_from([set(), set(), set(), {"priority"}, {"title"}]),
        "refuses": st.sampled_from([None, None, "abc", "Long"]),
    }
)


def build(name, wanted):
    wanted = dict(wanted)
    refused = wanted.pop("refuses")
    wanted["declared"] = REWRITES[wanted["declared"]]
    wanted["rewrites"] = REWRITES[wanted["rewrites"]]
    wanted["ignores"] = set(wanted["ignores"])
    return Partner(
        name=name, refuses=lambda _field, value: refused is not None and value == refused, **wanted
    )


class HostilePartners(RuleBasedStateMachine):
    """Interleaves single durable steps of the lanes with everything that may happen around them."""

    world: World

    @initialize(kinds=st.lists(traits, min_size=2, max_size=4))
    def start(self, kinds):
        self.world = World(*(build(name, kind) for name, kind in zip(NAMES, kinds, strict=False)))
        self.world.edit("title", "first")
        self.owned_values = {None}

    def _name(self, number):
        return NAMES[number % len(self.world.partners)]

    @rule(value=TEXTS)
    def hub_edits_title(self, value):
        self.world.edit("title", value or None)

    @rule(state=st.sampled_from(STATES), code=st.sampled_from([None, "fixed"]))
    def hub_edits_state(self, state, code):
        self.world.edit("resolution", {"state": state, "code": code})

    @rule(value=st.sampled_from("1234"))
    def hub_edits_priority(self, value):
        self.world.edit("priority", value)

    @rule(tag=TAGS)
    def hub_edits_tags(self, tag):
        self.world.edit("tags", sorted(set(self.world.value("tags")) ^ {tag}))

    @rule(body=st.sampled_from(["hello", "what", "Hello"]))
    def hub_comments(self, body):
        if len(self.world.record.comments) < 6:
            self.world.comment(body)

    @rule(number=st.integers(0, 3), field=st.sampled_from(["title", "priority", "owned"]), value=TEXTS)
    def user_edits(self, number, field, value):
        name = self._name(number)
        if field == "owned" and name == "A":
            self.owned_values.add(value or None)
        if field == "priority":
            value = value if value in "1234" and value else "2"
        self.world.user(name, field, value or None)

    @rule(number=st.integers(0, 3), state=st.sampled_from(STATES))
    def user_moves(self, number, state):
        self.world.user(self._name(number), "state", state)

    @rule(number=st.integers(0, 3), tag=TAGS)
    def user_tags(self, number, tag):
        self.world.user(self._name(number), "tags", tag)

    @rule(number=st.integers(0, 3), body=st.sampled_from(["from there", "hello"]))
    def user_comments(self, number, body):
        name = self._name(number)
        if self.world.links[name].key and len(self.world.record.comments) < 6:
            self.world.partners[name].user_comments(self.world.links[name].key, body)

    @rule(number=st.integers(0, 3), index=st.integers(0, 5), body=st.sampled_from([None, "edited"]))
    def user_changes_comment(self, number, index, body):
        name = self._name(number)
        key = self.world.links[name].key
        if key and index < len(self.world.at(name).comments):
            partner = self.world.partners[name]
            if body is None:
                partner.user_deletes_comment(key, index)
            else:
                partner.user_edits_comment(key, index, body)

    @rule(number=st.integers(0, 3), steps=st.integers(1, 9))
    def lane_runs(self, number, steps):
        for _ in range(steps):
            if not self.world.step(self._name(number)):
                break

    @rule(number=st.integers(0, 3), index=st.integers(0, 9), repeat=st.booleans())
    def webhook_arrives(self, number, index, repeat):
        name = self._name(number)
        hooks = self.world.partners[name].webhooks
        if hooks:
            index %= len(hooks)
            self.world.deliver(name, hooks[index])
            if not repeat:
                hooks.pop(index)

    @rule(number=st.integers(0, 3))
    def webhook_is_lost(self, number):
        hooks = self.world.partners[self._name(number)].webhooks
        if hooks:
            hooks.pop()

    @rule(number=st.integers(0, 3), fault=st.sampled_from(["lost", "late", "lying", "after_commit"]))
    def next_call_fails(self, number, fault):
        self.world.partners[self._name(number)].faults.append(fault)

    @rule(number=st.integers(0, 3))
    def comparison_is_due(self, number):
        self.world.compare(self._name(number))

    @rule()
    def process_dies(self):
        self.world.crash()

    @rule(seconds=st.sampled_from([1, 30, 70, 200]))
    def time_passes(self, seconds):
        self.world.forward(seconds)

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def no_duplicate_and_no_foreign_value(self):
        for partner in self.world.partners.values():
            assert len(partner.things) <= 1, f"{partner.name} holds a twin"
        assert self.world.value("owned") in self.owned_values, (
            "a field was taken from a system that does not own it"
        )

    def teardown(self):
        if not hasattr(self, "world"):
            return
        world = self.world
        assert world.quiesce(), "the world never came to rest"
        self._assert_equal_or_parked()
        before = {name: len(partner.writes) for name, partner in world.partners.items()}
        for name in world.partners:
            world.compare(name)
            world.run(name)
        assert before == {name: len(partner.writes) for name, partner in world.partners.items()}, (
            "an echo was written"
        )

    def _assert_equal_or_parked(self):
        world = self.world
        for name, link in world.links.items():
            if not link.key:
                continue
            thing = world.at(name)
            held = {**thing.values, "tags": sorted(thing.tags)}
            for part, shape in SHAPES.items():
                state = link.parts.get(part)
                if state is not None and state.flag != "none":
                    continue
                theirs = gather(shape, held)
                ours = normal(shape, Dialect(world.partners[name]), world.value(part))
                # Equal as spelled, or word for word: a user may type what the normaliser would never write.
                assert theirs in (ours, world.value(part)), (
                    f"{name}.{part}: {theirs!r} there, {ours!r} here, not parked"
                )
            shown = {key: (body, gone) for key, body, _, gone in thing.comments}
            for ours_id, comment in link.comments.items():
                hub = world.record.comments[ours_id]
                if comment.key in shown and comment.flag == "none" and not hub.deleted:
                    spelled = Dialect(world.partners[name]).normal("comment", hub.body)
                    assert shown[comment.key][0] in (spelled, hub.body)
            missing = {each for each, body in world.record.comments.items() if not body.deleted} - set(
                link.comments
            )
            assert not missing, f"{name} never got {missing}"
            mapped = [each.key for each in link.comments.values() if each.key]
            assert len(mapped) == len(set(mapped))


HostilePartners.TestCase.settings = settings(
    max_examples=400, stateful_step_count=45, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHostilePartners = HostilePartners.TestCase
