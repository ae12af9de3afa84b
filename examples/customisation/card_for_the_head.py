"""The head of sales sees the card of calls of important clients too."""

IMPORTANT = {"+79161234567"}
HEAD = 7  # user of the portal


def customize_show_call_card(data):
    params = data["params"]
    if data["call"]["client"] in IMPORTANT and HEAD not in params["USER_ID"]:
        params["USER_ID"] = [*params["USER_ID"], HEAD]
    return params
