"""The task of a missed call of the service line is urgent; of a hidden number there is none."""


def process_task_creation_params(data):
    call, fields = data["call"], data["fields"]
    if not call["client"]:
        return None
    if call["line"] == "+74951234567":
        fields["PRIORITY"] = 2
        fields["TITLE"] = "! " + fields["TITLE"]
    return fields
