"""The page's texts in its two languages, and which of them a visitor gets. Texts only: nothing of the portal is known here.

Every key is there in both languages (a test holds that). Counted texts have the forms of CLDR: `_one`, `_few`, `_many`,
`_other`.
"""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES = {"ru": "RU", "en": "EN"}

_BOTH: dict[str, tuple[str, str]] = {
    "title": ("Учебный портал", "Sandbox portal"),
    "skip": ("К экранам сотрудников", "Skip to the employees' screens"),
    "counts": ("Счётчики", "Counters"),
    "controls": ("Управление", "Controls"),
    "language": ("Язык", "Language"),
    "connecting": ("соединение…", "connecting…"),
    "live_open": ("на связи", "live"),
    "live_lost": ("нет связи с порталом", "portal not reachable"),
    "employees": ("Экраны сотрудников", "Employees' screens"),
    "employees_hint": (
        "Карточка звонка появляется здесь, когда портал показывает её сотруднику.",
        "A call card appears here when the portal shows it to the employee.",
    ),
    "screen_of": ("Экран: {name}", "Screen of {name}"),
    "card_of": ("Карточка звонка: {name}", "Call card: {name}"),
    "idle": ("Звонков нет", "No call"),
    "extension": ("Внутренний номер", "Extension"),
    "no_extension": ("Внутреннего номера нет", "No extension"),
    "card_incoming": ("Входящий", "Incoming"),
    "card_outgoing": ("Исходящий", "Outgoing"),
    "card_callback": ("Обратный звонок", "Callback"),
    "line": ("Линия", "Line"),
    "crm_lead": ("Лид {id}", "Lead {id}"),
    "crm_contact": ("Контакт {id}", "Contact {id}"),
    "crm_company": ("Компания {id}", "Company {id}"),
    "crm_deal": ("Сделка {id}", "Deal {id}"),
    "crm_none": ("нет в CRM", "not in CRM"),
    "world": ("Звонок снаружи", "Call from outside"),
    "world_hint": (
        "Настоящий звонок по SIP: через оператора на АТС компании.",
        "A real SIP call: through the carrier to the company's PBX.",
    ),
    "world_from": ("Кто звонит", "Caller's number"),
    "world_name": ("Имя на линии", "Caller's name"),
    "world_name_example": ("Анна Соколова", "Anna Sokolova"),
    "world_to": ("Куда", "Number dialled"),
    "world_ring": ("Позвонить", "Place the call"),
    "world_rings": ("{from} звонит на {to}", "{from} is calling {to}"),
    "world_calls": ("Звонки снаружи", "Calls from outside"),
    "pick_up": ("Ответить", "Answer"),
    "open_card": ("Открыть карточку с вкладками", "Open the card with its tabs"),
    "open_report": ("Статистика звонков", "Call statistics"),
    "open_app": ("Приложение", "Application"),
    "inside_card": ("Карточка звонка", "Call card"),
    "inside_none": (
        "Ни одно приложение не встроено в это место. После встраивания страницу надо открыть заново.",
        "No application is bound to this place. After binding the page has to be loaded anew.",
    ),
    "inside_back": ("Назад к порталу", "Back to the portal"),
    "close_card": ("Закрыть карточку", "Close the card"),
    "hang_up": ("Положить", "Hang up"),
    "phones": ("Другие телефоны", "Other phones"),
    "behaviour_of": ("Что делает телефон {extension}", "What phone {extension} does"),
    "behaviour_answer": ("отвечает", "answers"),
    "behaviour_ring": ("только звонит", "just rings"),
    "behaviour_busy": ("занят", "is busy"),
    "behaviour_reject": ("сбрасывает", "declines"),
    "state_idle": ("свободен", "idle"),
    "state_ringing": ("звонит", "ringing"),
    "state_talking": ("разговор", "talking"),
    "state_busy": ("занят", "busy"),
    "click": ("Звонок по клику", "Click to call"),
    "click_hint": (
        "Как нажатие на номер в портале: приложение получит ONEXTERNALCALLSTART.",
        "As a click on a number in the portal: the application gets ONEXTERNALCALLSTART.",
    ),
    "click_who": ("Сотрудник", "Employee"),
    "click_number": ("Номер клиента", "Client's number"),
    "click_call": ("Позвонить клиенту", "Call the client"),
    "clicked": ("{name}: звонок на {number}", "{name}: calling {number}"),
    "faults": ("Неполадки портала", "Break the portal"),
    "faults_hint": (
        "Проверьте, что ничего не теряется и не повторяется.",
        "See that nothing is lost and nothing is done twice.",
    ),
    "fault_unavailable": ("503 на 10 с", "503 for 10 s"),
    "fault_slow": ("Ответы по 3 с", "3 s to answer"),
    "fault_expired": ("Токен истёк", "Token expired"),
    "fault_outage": ("Сбой на 15 с", "Down for 15 s"),
    "expired_done": ("Все выданные токены больше не годятся", "No token given out so far is good any more"),
    "mend": ("Починить", "Mend"),
    "calls": ("Журнал звонков", "Journal of calls"),
    "calls_empty": ("Звонков ещё не было.", "No calls yet."),
    "calls_sum_one": ("{n} звонок", "{n} call"),
    "calls_sum_few": ("{n} звонка", "{n} calls"),
    "calls_sum_many": ("{n} звонков", "{n} calls"),
    "calls_sum_other": ("{n} звонка", "{n} calls"),
    "col_status": ("Звонок", "Call"),
    "col_client": ("Клиент", "Client"),
    "col_responsible": ("Ответственный, линия", "Responsible, line"),
    "col_started": ("Начало", "Started"),
    "col_duration": ("Длительность", "Duration"),
    "col_record": ("Запись", "Recording"),
    "status_live": ("идёт", "going on"),
    "status_incoming": ("входящий", "incoming"),
    "status_outgoing": ("исходящий", "outgoing"),
    "status_callback": ("обратный", "callback"),
    "status_incoming_missed": ("пропущен", "missed"),
    "status_outgoing_failed": ("не дозвонились · {code}", "not reached · {code}"),
    "status_callback_failed": ("не дозвонились · {code}", "not reached · {code}"),
    "activity_text": ("Текст дела", "Text of the activity"),
    "record_of": ("Запись разговора с {number}", "Recording of the talk with {number}"),
    "crm": ("Клиенты в CRM", "Clients in CRM"),
    "leads_empty": ("Пока никого.", "Nobody yet."),
    "tasks": ("Задачи", "Tasks"),
    "tasks_empty": ("Задач нет.", "No tasks."),
    "task_2": ("ждёт", "pending"),
    "task_3": ("выполняется", "in progress"),
    "task_4": ("на контроле", "to be approved"),
    "task_5": ("завершена", "completed"),
    "task_6": ("отложена", "deferred"),
    "deadline": ("срок {at}", "due {at}"),
    "chats": ("Чаты и уведомления", "Chats and notifications"),
    "chats_empty": ("Сообщений нет.", "No messages."),
    "chat_group": ("чат", "chat"),
    "chat_private": ("личный", "private"),
    "chat_notify": ("уведомления", "notifications"),
    "system": ("Система", "System"),
    "count_live": ("сейчас", "now"),
    "count_calls": ("в журнале", "in journal"),
    "count_requests": ("запросов REST", "REST requests"),
}

TEXTS: Mapping[str, Mapping[str, str]] = {
    code: {key: pair[at] for key, pair in _BOTH.items()} for at, code in enumerate(LANGUAGES)
}


def choose_language(asked: str | None, accept: str, default: str = "ru") -> str:
    """The language of `?lang=`, else the first known one of the Accept-Language header by its weights, else `default`."""
    if asked in LANGUAGES:
        return asked or default
    weighted: list[tuple[float, str]] = []
    for part in accept.split(","):
        name, _, parameter = part.strip().partition(";")
        try:
            weight = float(parameter.partition("=")[2]) if parameter else 1.0
        except ValueError:
            continue
        weighted.append((weight, name.split("-")[0].lower()))
    found = sorted((item for item in weighted if item[1] in LANGUAGES and item[0] > 0), key=lambda item: -item[0])
    return found[0][1] if found else default
