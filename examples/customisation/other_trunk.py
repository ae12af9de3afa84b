"""Clicked numbers of Saint Petersburg are dialled through another trunk, with another caller id (document 000, 3b).

The dialplan has to know the prefix: exten => _9812XXXXXXX,1,Dial(PJSIP/7${EXTEN:1}@spb)
"""


def process_originate_params(data):
    params = data["params"]
    if params["extension"].startswith("7812"):
        params["extension"] = "9" + params["extension"][1:]
        params["variables"]["__COMPANY_CALLERID"] = "78121234567"
    return params
