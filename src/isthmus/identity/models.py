"""Who can sign in (`User`), who they are (`Person`), what they may do (`RoleGrant`), which programs may call
(`ServiceAccount`), and how somebody likes their lists (`ListView`, `ListChoice`).

All of these but `User` are records: every change of them is in the journal. `User` holds only
what the sign-in machinery needs (name, password hash, last sign-in) and no personal value.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models

from isthmus.identity.list_models import ListChoice, ListView
from isthmus.kernel.kinds import KINDS
from isthmus.ledger.columns import JsonColumn, SealedJson, SealedText
from isthmus.ledger.records import RecordModel

__all__ = ["IdempotencyKey", "ListChoice", "ListView", "Person", "RoleGrant", "ServiceAccount", "User"]


class UserManager(BaseUserManager["User"]):
    """Looks users up by user name; creation goes through `identity.people.create_user`."""

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(username=username)


class User(AbstractBaseUser):
    """A way for one person to sign in. `person` is the id of the Person record."""

    username = models.CharField(max_length=120, unique=True)
    person = models.CharField(max_length=26, unique=True)
    is_active = models.BooleanField(default=True)
    created_at = models.BigIntegerField()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = ""
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        db_table = "identity_user"

    def has_perm(self, _permission: str, _subject: Any = None) -> bool:
        """Django's own permissions are not used: `identity.permissions` decides."""
        return False

    def has_module_perms(self, _app: str) -> bool:
        return False

    @property
    def is_staff(self) -> bool:
        return False


class Person(RecordModel):
    """One human being. Name, mail address and names at partners are sealed with the person's key."""

    kind = "person"

    name = SealedText()
    email = SealedText()
    username = models.TextField(default="", blank=True)
    time_zone = models.TextField(default="", blank=True)
    state = models.CharField(max_length=64, default="", blank=True)
    partner_names = SealedJson()

    class Meta:
        db_table = KINDS["person"].table
        indexes = [models.Index(fields=["organisation", "username"], name="person_username")]


class RoleGrant(RecordModel):
    """`holder` (a person) has `role` in the record's organisation and below while `granted`."""

    kind = "role_grant"

    holder = models.CharField(max_length=64, default="", blank=True, db_index=True)
    role = models.TextField(default="", blank=True)
    state = models.CharField(max_length=64, default="", blank=True)

    class Meta:
        db_table = KINDS["role_grant"].table
        indexes = [models.Index(fields=["organisation", "holder"], name="role_grant_holder")]


class ServiceAccount(RecordModel):
    """A program that calls the API with a token. Only the token's hash is kept."""

    kind = "service_account"

    name = models.TextField(default="", blank=True)
    owner = models.CharField(max_length=64, default="", blank=True)
    scopes = JsonColumn()
    token_hash = models.TextField(default="", blank=True)
    token_hint = models.TextField(default="", blank=True)
    expires_at = models.BigIntegerField(null=True)
    state = models.CharField(max_length=64, default="", blank=True)

    class Meta:
        db_table = KINDS["service_account"].table
        indexes = [models.Index(fields=["organisation", "state"], name="service_account_state")]


class IdempotencyKey(models.Model):  # noqa: DJ008 - never shown
    """The answer that an actor got for one Idempotency-Key (`hub.http.idempotency`)."""

    actor = models.CharField(max_length=64)
    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64)
    status = models.IntegerField()
    answer = models.TextField()
    etag = models.CharField(max_length=64, default="", blank=True)
    at = models.BigIntegerField(db_index=True)

    class Meta:
        db_table = "identity_idempotency_key"
        constraints = [models.UniqueConstraint(fields=["actor", "key"], name="idempotency_key_once")]
