"""Missed calls of each line belong to an employee of its own (document 000, 3d)."""

MISSED = {"+74951234567": 12, "+78121234567": 13}  # line -> user of the portal


def process_final_params(data):
    params = data["params"]
    if params["STATUS_CODE"] == "304":
        params["USER_ID"] = MISSED.get(data["call"]["line"], params["USER_ID"])
    return params
