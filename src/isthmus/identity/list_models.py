"""How somebody likes their lists: the views that they keep, and each list's columns and first view."""

from __future__ import annotations

from django.db import models

from isthmus.kernel.kinds import KINDS
from isthmus.ledger.columns import JsonColumn
from isthmus.ledger.records import RecordModel


class ListView(RecordModel):
    """A filter of one list under a name. Private to `owner`, or `shared` with the record's organisation."""

    kind = "list_view"

    owner = models.CharField(max_length=64, default="", blank=True)
    table = models.CharField(max_length=32, default="", blank=True)
    name = models.TextField(default="", blank=True)
    query = models.TextField(default="", blank=True)
    shared = models.BooleanField(default=False)
    state = models.CharField(max_length=8, default="", blank=True)

    class Meta:
        db_table = KINDS["list_view"].table
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "owner", "table", "name"],
                condition=models.Q(state="kept", shared=False),
                name="list_view_own_name",
            ),
            models.UniqueConstraint(
                fields=["organisation", "table", "name"],
                condition=models.Q(state="kept", shared=True),
                name="list_view_shared_name",
            ),
        ]
        indexes = [models.Index(fields=["owner", "table"], name="list_view_owner")]


class ListChoice(RecordModel):
    """The columns of one list in one person's order (null: the usual ones), and the view that it opens with."""

    kind = "list_choice"

    owner = models.CharField(max_length=64, default="", blank=True)
    table = models.CharField(max_length=32, default="", blank=True)
    columns = JsonColumn()
    view = models.CharField(max_length=26, default="", blank=True)

    class Meta:
        db_table = KINDS["list_choice"].table
        constraints = [
            models.UniqueConstraint(fields=["organisation", "owner", "table"], name="list_choice_once")
        ]
        indexes = [
            models.Index(fields=["owner", "table"], name="list_choice_owner"),
            models.Index(fields=["view"], name="list_choice_view", condition=~models.Q(view="")),
        ]
