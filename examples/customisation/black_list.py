"""Calls of some employees, and with some clients, never get to the portal."""

EXTENSIONS = {"105"}
CLIENTS = {"+79160000000"}


def need_registration(data):
    call = data["call"]
    if call["client"] in CLIENTS:
        return False
    involved = set(call["rung"]) | set(call["talkers"])
    return not involved or not involved <= EXTENSIONS
