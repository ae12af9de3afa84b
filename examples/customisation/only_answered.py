"""A call gets to the portal when somebody has answered it, or at its end; until then no card is shown."""


def need_registration(data):
    return data["stage"] in ("conversation_accepted", "call_ended")
