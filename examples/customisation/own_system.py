"""Another system of the company is told of each registered call. Of one that does not answer, nothing waits."""

import json
import urllib.request

ADDRESS = "http://127.0.0.1:9/calls"


def post_registration(data):
    body = json.dumps({"call": data["call"]["id"], "portal_call": data["registration"]["CALL_ID"]}).encode()
    request = urllib.request.Request(ADDRESS, body, {"Content-Type": "application/json"})
    try:
        urllib.request.urlopen(request, timeout=1).close()  # noqa: S310  our own address
    except OSError as error:
        print("not told:", error)
