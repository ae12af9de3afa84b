"""Russian numbers go to the CRM with 8 instead of +7; extensions of the branch have 7 before those of the portal."""


def process_client_phone(data):
    phone = data["phone"]
    return "8" + phone[2:] if phone.startswith("+7") and len(phone) == 12 else phone


def process_user_phone(data):
    phone = data["phone"]
    return phone[1:] if len(phone) == 4 and phone.startswith("7") else phone
