"""Codes of the conference that are in no table; nobody may be brought in from abroad."""

CODES = {"911": "74957654321"}


def customize_third_party(data):
    number = CODES.get(data["code"], data["number"])
    if number.startswith("00"):
        return None
    return number
