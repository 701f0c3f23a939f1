"""Columns that projections are made of, beyond Django's own: canonical JSON and sealed values."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import FieldError
from django.db import models

from isthmus.kernel.chain import decode, encode
from isthmus.kernel.errors import Bug
from isthmus.ledger import keys


class JsonColumn(models.TextField):  # type: ignore[type-arg]
    """Plain JSON (sets as sorted lists) in canonical text: equal values are equal in both stores."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("null", True)
        kwargs.setdefault("blank", True)
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: str | None, *_: Any) -> Any:
        return None if value is None else decode(value)

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else encode(value).decode()


class _Sealed(models.Field):  # type: ignore[type-arg]
    """An encrypted column. Only `Work` writes it, as a ready envelope; reading decrypts."""

    empty_strings_allowed = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("null", True)
        kwargs.setdefault("blank", True)
        super().__init__(*args, **kwargs)

    def get_internal_type(self) -> str:
        return "BinaryField"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        if value is None or value == "":
            return None
        if not isinstance(value, bytes):
            raise Bug(
                f"{self.name} is sealed and written by Work only.", remedy="Use work.create or work.change."
            )
        return super().get_db_prep_value(value, connection, prepared)

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise FieldError(f"{self.name} is sealed: use ledger.search instead of a lookup.")
        return super().get_lookup(lookup_name)


class SealedText(_Sealed):
    """Text under a record's or a person's key; `""` if absent, `[erased]` once the key is destroyed."""

    def get_default(self) -> str:
        return ""

    def from_db_value(self, value: Any, *_: Any) -> str:
        return open_text(value)

    def to_python(self, value: Any) -> Any:
        return "" if value is None else value


class SealedJson(_Sealed):
    """Plain JSON under a record's or a person's key; None if absent, `[erased]` once the key is destroyed."""

    def get_default(self) -> None:
        return None

    def from_db_value(self, value: Any, *_: Any) -> Any:
        return open_json(value)


def open_text(envelope: Any) -> str:
    """Return the text in an envelope (bytes, memoryview or None)."""
    if envelope is None:
        return ""
    found = keys.ring().open(bytes(envelope))
    return keys.ERASED if found is None else found.decode()


def open_json(envelope: Any) -> Any:
    """Return the JSON value in an envelope (bytes, memoryview or None)."""
    if envelope is None:
        return None
    found = keys.ring().open(bytes(envelope))
    return keys.ERASED if found is None else decode(found)
