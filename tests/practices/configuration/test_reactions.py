"""What a CSV source shows becomes the map of its organisation."""

from __future__ import annotations

from isthmus.hub import observing
from isthmus.hub.observing import Seen
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.practices.configuration.models import Ci, Relation


def seen(book, place, kind, organisation="", *, deleted=False, **values):
    external = ExternalRef(connection="cmdb", kind=kind, key=str(place))
    return Seen(
        message_position=place, place=0, connection="cmdb", organisation=organisation or book.organisation, received_at=book.clock.now(), message_id="m",
        trace="t" * 32, observation=Observation(kind=kind, external=external, values=values, event_id=f"e{place}", deleted=deleted),
    )  # fmt: skip


def react(book, *seens):
    def act(work):
        found = []
        for kind in ("ci", "ci_relation"):
            part = [each for each in seens if each.observation.kind == kind]
            if part:
                found += observing.reaction_to(kind)(work, part, work.now)
        return found

    return {each.position: (each.what, each.reason) for each in book.perform(act, channel="file")}


def test_items_and_relations_of_one_batch_become_the_map(book):
    other = book.add_organisation("Customer")
    told = react(
        book,
        seen(book, 1, "ci", name="a", ci_class="server"),
        seen(book, 2, "ci", name="b", ci_class="spaceship"),
        seen(book, 3, "ci", other, name="a", ci_class="server"),
        seen(book, 4, "ci_relation", source_ci="a", target_ci="c", type="depends_on"),
        seen(book, 5, "ci", name="c", ci_class="server"),
    )
    assert {place: what for place, (what, _) in told.items()} == {
        1: "entry",
        2: "ignored",
        3: "entry",
        4: "entry",
        5: "entry",
    }
    assert "spaceship" in told[2][1]
    assert Ci.objects.get(name="c").source == "cmdb"
    assert Ci.objects.filter(name="a").count() == 2
    assert Relation.objects.get().organisation == book.organisation


def test_what_is_gone_at_the_source_leaves_the_live_map(book):
    react(
        book,
        seen(book, 1, "ci", name="a", ci_class="server"),
        seen(book, 2, "ci", name="b", ci_class="server"),
    )
    react(book, seen(book, 3, "ci_relation", source_ci="a", target_ci="b"))
    told = react(
        book,
        seen(book, 4, "ci_relation", source_ci="a", target_ci="b", deleted=True),
        seen(book, 5, "ci", name="b", ci_class="server", deleted=True),
    )
    assert [what for what, _ in told.values()] == ["entry", "entry"]
    assert (Relation.objects.get().state, Ci.objects.get(name="b").state) == ("removed", "retired")


def test_a_repeat_is_a_repeat_and_an_unknown_end_is_parked(book):
    react(book, seen(book, 1, "ci", name="a", ci_class="server"))
    told = react(
        book,
        seen(book, 2, "ci", name="a", ci_class="server"),
        seen(book, 3, "ci_relation", source_ci="a", target_ci="ghost"),
    )
    assert (told[2][0], told[3][0]) == ("repeat", "parked")
    assert "ghost" in told[3][1]
