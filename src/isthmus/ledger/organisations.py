"""The tree of organisations: customers below a provider, departments below a company."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from isthmus.kernel.actor import Origin, system
from isthmus.kernel.errors import NeedsOperator, NotFound
from isthmus.kernel.record import Reason
from isthmus.ledger import schema, scope
from isthmus.ledger.door import perform
from isthmus.ledger.ids import source
from isthmus.ledger.models import Organisation
from isthmus.ledger.work import Work

DEPTH_MAX = 16


def ensure_root(name: str) -> str:
    """Return the id of the root organisation, making it (and publishing the book's schema) on first use."""

    def act(work: Work) -> str:
        found = Organisation.objects.filter(parent="").order_by("id").first()
        root_id = create(work, name=name).id if found is None else str(found.id)
        schema.publish(work, root_id)
        return root_id

    with scope.everywhere("the root organisation"):
        return perform(act, actor=system("init"), origin=Origin(channel="hub"), exclusive=True)


def root() -> str:
    """Return the id of the root organisation; the installation must have been initialised."""
    with scope.everywhere("the root organisation"):
        found = Organisation.objects.filter(parent="").order_by("id").values_list("id", flat=True).first()
    if found is None:
        raise NeedsOperator("This installation has no organisation yet.", remedy="Run `isthmus init`.")
    return str(found)


def create(work: Work, *, name: str, parent: str = "") -> Organisation:
    """Create an organisation below `parent` ("" only for the root)."""
    if parent and len(lineage(parent)) >= DEPTH_MAX:
        raise NotFound(f"Organisations may nest {DEPTH_MAX} deep.", remedy="Choose a higher parent.")
    own_id = source.new_id()
    return work.create(
        Organisation,
        organisation=own_id,
        record_id=own_id,
        values={"name": name, "parent": parent, "state": "active"},
        why=[Reason(rule="organisations.create", text="The organisation was added.")],
    )


def lineage(organisation: str) -> list[str]:
    """Return the organisation and its ancestors, nearest first."""
    parents = _parents()
    if organisation not in parents:
        raise NotFound("There is no such organisation.")
    found = [organisation]
    while parents[found[-1]] and len(found) <= DEPTH_MAX:
        found.append(parents[found[-1]])
    return found


def descendants(organisations: Iterable[str]) -> frozenset[str]:
    """Return these organisations and everything below them: what an actor granted on them may see."""
    parents = _parents()
    found = {each for each in organisations if each in parents}
    grew = True
    while grew:
        below = {child for child, parent in parents.items() if parent in found} - found
        found |= below
        grew = bool(below)
    return frozenset(found)


def _parents() -> Mapping[str, str]:
    with scope.everywhere("the tree of organisations"):
        return dict(Organisation.objects.values_list("id", "parent"))
