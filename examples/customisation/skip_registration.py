"""A line for couriers and tests: its calls are not registered. None cancels the request."""

LINES = {"+74950000000"}


def process_registration_params(data):
    if data["call"]["line"] in LINES:
        return None
    return data["params"]
