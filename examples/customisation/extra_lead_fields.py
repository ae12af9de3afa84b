"""A new lead is told of its call (document 000, 3e). Names of fields: crm.item.fields, user fields by their own names."""


def customize_entity(data):
    call, entity = data["call"], data["entity"]
    if entity["type"] != "lead" or not entity["is_new"]:
        return None  # nothing is changed
    menu = " ".join(call["menu"]) or "-"
    return {
        "sourceDescription": f"line {call['line']}, trunk {call['trunk']}",
        "comments": f"menu: {menu}; talked {round(call['duration'])} s with {call['last_talker'] or '-'}",
        "utmSource": "telephone",
    }
