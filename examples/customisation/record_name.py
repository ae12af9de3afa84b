"""Recordings are named after client and day in the portal; talks of under three seconds are not uploaded."""


def customize_attach_record_url(data):
    call = data["call"]
    if call["duration"] < 3:
        return None
    day = call["started"][:10]
    return data["params"] | {"FILENAME": f"{day}-{call['client'].strip('+') or 'hidden'}.mp3"}
