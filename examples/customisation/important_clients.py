"""Important clients are connected with the head of sales, whoever the CRM says is responsible (document 000, 3h)."""

IMPORTANT = {"+79161234567": "101"}  # client -> extension


def customize_autodistribution(data):
    found = data["found"]
    if extension := IMPORTANT.get(data["call"]["client"]):
        found["extension"] = extension
        found["name"] = "VIP " + found.get("name", "")
    return found
