"""Contacts of leads, deals and companies, and companies of contacts: `.add`, `.items.get`, `.items.set`.

The four families say the same things with different words; the words come from the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.crm import Entity
from perezvon.sandbox.portal.handlers.crm_objects import (
    Binding,
    company_links,
    contact_links,
    set_company_contacts,
    set_links,
)
from perezvon.sandbox.portal.handlers.documented import documented
from perezvon.sandbox.portal.params import Params, as_int, as_list, as_mapping
from perezvon.sandbox.portal.registry import Caller, RestError, method
from perezvon.sandbox.portal.state import PortalState

Json = Any


def _links(portal: PortalState, entity: Entity, target: str) -> list[Binding]:
    return company_links(entity) if target == "COMPANY" else contact_links(portal, entity)


def _save(portal: PortalState, entity: Entity, target: str, rows: list[Binding]) -> None:
    if entity.type == "COMPANY":
        set_company_contacts(portal, entity, rows)
    else:
        set_links(portal, entity, f"{target}_ID", rows)


def _refusal(name: str, *ways: str) -> RestError:
    """The first of the wordings that the page of this method has."""
    errors = contract().methods[name].errors
    for about in ways:
        if any(about.lower() in error.description.lower() or about.lower() == error.code.lower() for error in errors):
            return documented(name, about)
    return RestError("", ways[0])


def _make(owner: str, target: str) -> None:
    family = f"crm.{owner.lower()}.{target.lower()}"
    key = f"{target}_ID"

    def owner_of(portal: PortalState, params: Params, operation: str) -> Entity:
        number = params.integer("id")
        if number <= 0:
            raise _refusal(f"{family}.{operation}", "ownerEntityID", "Required fields")
        entity = portal.crm.get(owner, number)
        if entity is None:
            raise _refusal(f"{family}.{operation}", "not found", "NOT_FOUND")
        return entity

    def binding(portal: PortalState, name: str, row: Mapping[str, Json], sort: int) -> Binding:
        number = as_int(row.get(key))
        if number <= 0:
            raise _refusal(name, "'fields' is not valid", "Required fields", "ERROR_CORE", "items must be array")
        if portal.crm.get(target, number) is None:
            raise _refusal(name, "Not found", "NOT_FOUND")
        primary = "Y" if str(row.get("IS_PRIMARY", "N")).upper() == "Y" else "N"
        return {key: number, "SORT": as_int(row.get("SORT"), sort), "ROLE_ID": 0, "IS_PRIMARY": primary}

    @method(f"{family}.items.get", checks_itself=("id",))
    async def items_get(portal: PortalState, who: Caller, params: Params) -> Json:
        return _links(portal, owner_of(portal, params, "items.get"), target)

    @method(f"{family}.items.set", checks_itself=("id", "items"))
    async def items_set(portal: PortalState, who: Caller, params: Params) -> Json:
        entity = owner_of(portal, params, "items.set")
        given = params.get("items")
        if not isinstance(given, (list, Mapping)):
            raise _refusal(f"{family}.items.set", "items must be array", "Required fields")
        rows = [
            binding(portal, f"{family}.items.set", as_mapping(row), 10 * (at + 1))
            for at, row in enumerate(as_list(params["items"]))
        ]
        _save(portal, entity, target, rows)
        return True

    @method(f"{family}.add", checks_itself=("id", "fields"))
    async def add(portal: PortalState, who: Caller, params: Params) -> Json:
        """False when the link is already there with the same settings."""
        entity = owner_of(portal, params, "add")
        if not isinstance(params.get("fields"), Mapping):
            raise _refusal(f"{family}.add", "'fields' must be array", "Required fields")
        links = _links(portal, entity, target)
        row = binding(portal, f"{family}.add", params.mapping("fields"), 10 * (len(links) + 1))
        others = [link for link in links if link[key] != row[key]]
        if row["IS_PRIMARY"] == "Y":
            others = [{**link, "IS_PRIMARY": "N"} for link in others]
        elif not others:
            row["IS_PRIMARY"] = "Y"
        if row in links:
            return False
        _save(portal, entity, target, [*others, row])
        return True


for _owner in ("LEAD", "DEAL", "COMPANY"):
    _make(_owner, "CONTACT")
_make("CONTACT", "COMPANY")
