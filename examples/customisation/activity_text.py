"""The activity tells of the queue, of whoever was rung, and of transfers (document 000, 3f)."""


def customize_activity(data):
    call, fields = data["call"], data["fields"]
    lines = [fields["DESCRIPTION"]] if fields.get("DESCRIPTION") else []
    if call["queue"]:
        lines.append(f"Queue: {call['queue']}")
    if call["rung"]:
        lines.append(f"Rung: {', '.join(call['rung'])}")
    lines += [f"{one['from']} passed the client on to {one['to']}" for one in call["transfers"]]
    return fields | {"DESCRIPTION": "\n".join(lines)} if lines else fields
