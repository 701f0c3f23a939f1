"""Configuration of a CSV import: where files come from and how their columns are called."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef


class CsvConfig(ConnectorConfig, frozen=True, kw_only=True):
    """Files of configuration items and of their relations; a file is one or the other by its header."""

    token: Annotated[SecretRef, Meta(description="The bearer token of whoever posts files to us.")]
    encoding: Annotated[
        Literal["utf-8", "utf-16", "latin-1", "cp1252"], Meta(description="Encoding of the files.")
    ] = "utf-8"
    delimiter: Annotated[
        Literal["auto", ",", ";", "\t", "|"],
        Meta(description="Column delimiter; auto reads it from the header."),
    ] = "auto"
    columns: Annotated[
        dict[str, str],
        Meta(description="Header → canonical field, for headers that are not called like the field."),
    ] = {}
    keep_other_columns: Annotated[
        bool, Meta(description="Keep columns without a field in `attributes`; otherwise they are refused.")
    ] = True
    list_separator: Annotated[
        str, Meta(description="Separator inside cells that hold several values.", min_length=1, max_length=3)
    ] = "|"
    items_url: Annotated[str, Meta(description="Where to fetch the file of items; empty: not fetched.")] = ""
    relations_url: Annotated[
        str, Meta(description="Where to fetch the file of relations; empty: not fetched.")
    ] = ""
    items_path: Annotated[str, Meta(description="Path of a dropped file of items; empty: not read.")] = ""
    relations_path: Annotated[
        str, Meta(description="Path of a dropped file of relations; empty: not read.")
    ] = ""
    url_token: Annotated[SecretRef | None, Meta(description="Bearer token for fetching.")] = None
