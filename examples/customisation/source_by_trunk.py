"""The CRM source of a new lead by the trunk that the call came through."""

SOURCES = {"multifon": "CALL", "mango": "ADVERTISING"}  # trunk -> STATUS_ID of the source


def process_registration_params(data):
    params = data["params"]
    if source := SOURCES.get(data["call"]["trunk"]):
        params["CRM_SOURCE"] = source
    return params
