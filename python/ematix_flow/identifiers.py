"""Names in the SQL that Python writes: bare where PostgreSQL reads them back unchanged, in double quotes otherwise.

The engine has the same rule (core/internal/ident); a test keeps the two lists of words equal. Python needs its own because declaring a
source loads no compiled code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ematix_flow.errors import InvalidIdentifier

if TYPE_CHECKING:
    from collections.abc import Iterable

_BARE = re.compile(r"[a-z_][a-z0-9_]*")

# The words that PostgreSQL 15 to 18 reserve in some position: pg_get_keywords(), all but category U.
_WORDS = """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast
    char character check coalesce collate collation column concurrently constraint create cross current_catalog
    current_date current_role current_schema current_time current_timestamp current_user dec decimal default deferrable
    desc distinct do else end except exists extract false fetch float for foreign freeze from full grant greatest group
    grouping having ilike in initially inner inout int integer intersect interval into is isnull join json json_array
    json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_table json_value
    lateral leading least left like limit localtime localtimestamp merge_action national natural nchar none normalize
    not notnull null nullif numeric offset on only or order out outer overlaps overlay placing position precision
    primary real references returning right row select session_user setof similar smallint some substring symmetric
    system_user table tablesample then time timestamp to trailing treat trim true union unique user using values varchar
    variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces
    xmlparse xmlpi xmlroot xmlserialize xmltable
"""
_RESERVED = frozenset(_WORDS.split())


def quote(name: str) -> str:
    """One name as an identifier.

    >>> quote("email"), quote("Order Date"), quote("user"), quote('a"b')
    ('email', '"Order Date"', '"user"', '"a""b"')

    Raises:
        InvalidIdentifier: a name that PostgreSQL cannot hold: empty, with a NUL character, or of more than 63 bytes.
    """
    if not name or "\0" in name:
        raise InvalidIdentifier(f"The name {name!r} cannot be used in PostgreSQL: a name is not empty and holds no NUL character.")
    if len(name.encode("utf-8", "surrogatepass")) > 63:
        raise InvalidIdentifier(f"The name {name!r} is longer than the 63 bytes that PostgreSQL keeps of a name. Choose a shorter one.")
    if _BARE.fullmatch(name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """``schema.name``, each quoted where needed.

    >>> qualified("public", "users")
    'public.users'
    """
    return f"{quote(schema)}.{quote(name)}"


def listed(names: Iterable[str]) -> str:
    """The names with ``, `` between them.

    >>> listed(["id", "Order Date"])
    'id, "Order Date"'
    """
    return ", ".join(map(quote, names))
