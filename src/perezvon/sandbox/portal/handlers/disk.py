"""disk.*: the portal's drive: storages of the company, of each employee and of the application, folders, files."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Literal

from perezvon.sandbox.portal.handlers import crm_query as query
from perezvon.sandbox.portal.handlers.documented import documented
from perezvon.sandbox.portal.params import Params, as_mapping
from perezvon.sandbox.portal.registry import Caller, Page, RestError, method, page_of
from perezvon.sandbox.portal.state import PortalState

Json = Any


@dataclass(slots=True)
class Node:
    """A folder or a file of the drive. `parent` 0: the root of its storage. `file`: number in the portal's files."""

    id: int
    kind: Literal["folder", "file"]
    name: str
    storage: int
    parent: int
    author: int
    created: float
    file: int = 0


@dataclass(slots=True)
class Storage:
    """`owner`: type (common, user, restapp) and id; `root`: the folder at its top."""

    id: int
    name: str
    owner: tuple[str, str]
    root: int


class Drive:
    def __init__(self) -> None:
        self.storages: dict[int, Storage] = {}
        self.nodes: dict[int, Node] = {}

    def storage(self, portal: PortalState, name: str, owner_type: str, owner_id: str, author: int) -> Storage:
        """The storage of this owner, made when there is none."""
        for known in self.storages.values():
            if known.owner == (owner_type, owner_id):
                return known
        number = len(self.storages) + 1
        root = self.add("folder", name, number, 0, author, portal.now())
        self.storages[number] = Storage(number, name, (owner_type, owner_id), root.id)
        return self.storages[number]

    def add(self, kind: Literal["folder", "file"], name: str, storage: int, parent: int, author: int, at: float) -> Node:
        number = max(self.nodes, default=0) + 1
        self.nodes[number] = Node(number, kind, name, storage, parent, author, at)
        return self.nodes[number]

    def children(self, folder: int) -> list[Node]:
        return [node for node in self.nodes.values() if node.parent == folder]


def drive(portal: PortalState) -> Drive:
    """The drive with the storages that every portal has: the company's and each employee's."""
    found = portal.part(Drive)
    found.storage(portal, "Общий диск", "common", "shared_files_s1", portal.config.webhook_user)
    for user in portal.people.users.values():
        found.storage(portal, user.full_name, "user", str(user.id), user.id)
    return found


def node_view(portal: PortalState, node: Node, *, fresh: bool = False) -> dict[str, Json]:
    """As disk.* answers it: strings everywhere; numbers for a node that was just made (`fresh`)."""

    def number(value: int) -> Json:
        return value if fresh else str(value)

    told: dict[str, Json] = {
        "ID": number(node.id),
        "NAME": node.name,
        "CODE": None,
        "STORAGE_ID": str(node.storage),
        "TYPE": node.kind,
    }
    if node.kind == "folder":
        told["REAL_OBJECT_ID"] = number(node.id)
    told |= {"PARENT_ID": str(node.parent), "DELETED_TYPE": number(0)}
    file = portal.files.get(node.file)
    if file is not None:
        told |= {"GLOBAL_CONTENT_VERSION": number(1), "FILE_ID": number(file.id), "SIZE": str(len(file.content))}
    told |= {
        "CREATE_TIME": portal.iso(node.created),
        "UPDATE_TIME": portal.iso(node.created),
        "DELETE_TIME": None,
        "CREATED_BY": str(node.author),
        "UPDATED_BY": str(node.author),
        "DELETED_BY": None if fresh else "0",
    }
    if file is not None:
        told["DOWNLOAD_URL"] = f"{portal.base_url}{file.path}"
    return told | {"DETAIL_URL": f"{portal.base_url}/company/disk/{node.kind}/{node.id}/"}


def _storage_view(storage: Storage) -> dict[str, Json]:
    return {
        "ID": str(storage.id),
        "NAME": storage.name,
        "CODE": None,
        "MODULE_ID": "disk",
        "ENTITY_TYPE": storage.owner[0],
        "ENTITY_ID": storage.owner[1],
        "ROOT_OBJECT_ID": str(storage.root),
    }


def _not_found(number: int) -> RestError:
    return RestError("ERROR_NOT_FOUND", f"Could not find entity with id {number}")


def _positive(name: str, params: Params) -> int:
    number = params.integer("id")
    if number <= 0:
        raise RestError("ERROR_ARGUMENT", "Invalid value of parameter {Parameter #0}", argument="id")
    return number


def _node(portal: PortalState, name: str, params: Params, kind: str) -> Node:
    number = _positive(name, params)
    node = drive(portal).nodes.get(number)
    if node is None or node.kind != kind:
        raise _not_found(number)
    return node


def _root(portal: PortalState, name: str, params: Params) -> Node:
    number = _positive(name, params)
    storage = drive(portal).storages.get(number)
    if storage is None:
        raise _not_found(number)
    return drive(portal).nodes[storage.root]


# ----- storages


@method("disk.storage.getList")
async def storage_list(portal: PortalState, who: Caller, params: Params) -> Json:
    rows = [_storage_view(storage) for storage in drive(portal).storages.values() if storage.owner[0] != "restapp"]
    return _listed(rows, params)


@method("disk.storage.getForApp")
async def storage_for_app(portal: PortalState, who: Caller, params: Params) -> Json:
    return _storage_view(drive(portal).storage(portal, who.app_name or who.app, "restapp", str(who.app_id), who.user_id))


@method("disk.storage.getChildren", checks_itself=("id",))
async def storage_children(portal: PortalState, who: Caller, params: Params) -> Json:
    return _children(portal, _root(portal, "disk.storage.getChildren", params), params)


@method("disk.storage.addFolder", checks_itself=("id", "data"))
async def storage_add_folder(portal: PortalState, who: Caller, params: Params) -> Json:
    return _add_folder(portal, who, "disk.storage.addFolder", _root(portal, "disk.storage.addFolder", params), params)


@method("disk.storage.uploadFile", checks_itself=("id", "data", "fileContent"))
async def storage_upload(portal: PortalState, who: Caller, params: Params) -> Json:
    return _upload(portal, who, "disk.storage.uploadFile", _root(portal, "disk.storage.uploadFile", params), params)


# ----- folders


@method("disk.folder.get", checks_itself=("id",))
async def folder_get(portal: PortalState, who: Caller, params: Params) -> Json:
    return node_view(portal, _node(portal, "disk.folder.get", params, "folder"))


@method("disk.folder.getChildren", checks_itself=("id",))
async def folder_children(portal: PortalState, who: Caller, params: Params) -> Json:
    return _children(portal, _node(portal, "disk.folder.getChildren", params, "folder"), params)


@method("disk.folder.addSubFolder", checks_itself=("id", "data"))
async def folder_add(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "disk.folder.addSubFolder"
    return _add_folder(portal, who, name, _node(portal, name, params, "folder"), params)


@method("disk.folder.uploadFile", checks_itself=("id", "data", "fileContent"))
async def folder_upload(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "disk.folder.uploadFile"
    return _upload(portal, who, name, _node(portal, name, params, "folder"), params)


# ----- files


@method("disk.file.get", checks_itself=("id",))
async def file_get(portal: PortalState, who: Caller, params: Params) -> Json:
    return node_view(portal, _node(portal, "disk.file.get", params, "file"))


@method("disk.file.delete", checks_itself=("id",))
async def file_delete(portal: PortalState, who: Caller, params: Params) -> Json:
    node = _node(portal, "disk.file.delete", params, "file")
    portal.files.remove(node.file)
    del drive(portal).nodes[node.id]
    return True


@method("disk.file.getExternalLink", checks_itself=("id",))
async def file_external_link(portal: PortalState, who: Caller, params: Params) -> Json:
    file = portal.files.get(_node(portal, "disk.file.getExternalLink", params, "file").file)
    return f"{portal.base_url}{file.path}" if file else ""


def _children(portal: PortalState, folder: Node, params: Params) -> Page:
    return _listed([node_view(portal, node) for node in drive(portal).children(folder.id)], params)


def _listed(rows: list[dict[str, Json]], params: Params) -> Page:
    group = query.parse(params.mapping("filter"))
    found = [row for row in rows if query.matches(group, row)]
    return page_of(query.ordered(found, params.mapping("order") or {"ID": "ASC"}), params.integer("start"))


def _name_of(name: str, params: Params) -> str:
    given = str(as_mapping(params.get("data")).get("NAME") or "").strip()
    if not given:
        raise RestError("DISK_BASE_SERVICE_22001", "Error: required parameter NAME (DISK_BASE_SERVICE_22001)")
    return given


def _add_folder(portal: PortalState, who: Caller, name: str, parent: Node, params: Params) -> Json:
    title = _name_of(name, params)
    if any(node.name == title for node in drive(portal).children(parent.id)):
        raise documented(name, "DISK_OBJ_22000")
    node = drive(portal).add("folder", title, parent.storage, parent.id, who.user_id, portal.now())
    return node_view(portal, node, fresh=True)


def _upload(portal: PortalState, who: Caller, name: str, parent: Node, params: Params) -> Json:
    """fileContent: [name, base64], or base64 alone."""
    title = _name_of(name, params)
    parts = params.items_of("fileContent")
    if not parts:
        raise documented(name, "ERROR_ARGUMENT")
    try:
        content = base64.b64decode(str(parts[-1]), validate=True)
    except binascii.Error as wrong:
        raise documented(name, "ERROR_COULD_NOT_SAVE_FILE") from wrong
    taken = {node.name for node in drive(portal).children(parent.id)}
    if title in taken and not params.flag("generateUniqueName"):
        raise documented(name, "ERROR_COULD_NOT_SAVE_FILE")
    stem, dot, ending = title.rpartition(".")
    at = 1
    while title in taken:
        title = f"{stem or ending} ({at}){dot}{ending if stem else ''}"
        at += 1
    node = drive(portal).add("file", title, parent.storage, parent.id, who.user_id, portal.now())
    node.file = portal.files.add(title, content, portal.now(), who.user_id).id
    return node_view(portal, node, fresh=True)
