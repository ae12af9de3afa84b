"""The people and the CRM a new pretend portal starts with. Numbers are fictitious."""

from __future__ import annotations

from perezvon.sandbox.portal.oauth import App, Webhook
from perezvon.sandbox.portal.people import Department, User
from perezvon.sandbox.portal.state import PortalState

SOURCES = {
    "CALL": "Звонок",
    "EMAIL": "Электронная почта",
    "WEB": "Веб-сайт",
    "ADVERTISING": "Реклама",
    "PARTNER": "Существующий клиент",
    "RECOMMENDATION": "По рекомендации",
    "TRADE_SHOW": "Выставка",
    "WEBFORM": "CRM-форма",
    "CALLBACK": "Обратный звонок",
    "RC_GENERATOR": "Генератор продаж",
    "STORE": "Интернет-магазин",
    "OTHER": "Другое",
}
IVANOV, PETROVA, SIDOROV, KUZNETSOVA, SMIRNOV, HEAD, DISMISSED = 11, 12, 13, 14, 15, 16, 17


def plant_identities(portal: PortalState) -> App:
    """The local application and the inbound webhook of the configuration."""
    config = portal.config
    app = App(
        id=1,
        client_id=config.client_id,
        client_secret=config.client_secret,
        name="Перезвон",
        scopes=config.scopes,
        install_url=config.install_url,
        redirect_uri=config.handler_url or config.install_url,
    )
    portal.authority.apps[app.client_id] = app
    portal.authority.webhooks.append(Webhook(1, config.webhook_user, config.webhook_secret, config.scopes))
    return app


def plant_people(portal: PortalState) -> None:
    people = portal.people
    for department in (Department(1, "Компания"), Department(2, "Отдел продаж", 1, HEAD), Department(3, "Поддержка", 1)):
        people.departments[department.id] = department
    people.add(User(1, "Админ", "Порталов", admin=True, email="admin@portal.invalid", position="Администратор"))
    sales, support = [2], [3]
    for user in (
        User(IVANOV, "Иван", "Иванов", "101", mobile="+79161110101", departments=sales, position="Менеджер"),
        User(PETROVA, "Анна", "Петрова", "102", mobile="+79161110102", departments=sales, position="Менеджер"),
        User(SIDOROV, "Пётр", "Сидоров", "103", mobile="+79161110103", departments=sales, position="Менеджер"),
        User(KUZNETSOVA, "Ольга", "Кузнецова", "104", mobile="+79161110104", departments=support, position="Инженер"),
        User(SMIRNOV, "Олег", "Смирнов", "105", mobile="+79161110105", departments=support, position="Инженер"),
        User(HEAD, "Елена", "Начальникова", departments=sales, position="Руководитель отдела продаж"),
        User(DISMISSED, "Борис", "Уволенный", "110", active=False, departments=sales),
    ):
        user.email = f"user{user.id}@portal.invalid"
        people.add(user)


def plant_crm(portal: PortalState) -> None:
    crm = portal.crm
    crm.sources.update(SOURCES)
    now = portal.iso()
    stamp = {"DATE_CREATE": now, "DATE_MODIFY": now, "OPENED": "Y"}

    def owned(by: int, **fields: object) -> dict[str, object]:
        return {**fields, "ASSIGNED_BY_ID": str(by), "CREATED_BY_ID": str(by), "MODIFY_BY_ID": str(by), **stamp}

    company = crm.add("COMPANY", owned(IVANOV, TITLE="ООО «Ромашка»", PHONE=[crm.phone("+74957770001")]), quiet=True)
    crm.add("COMPANY", owned(SIDOROV, TITLE="АО «Вектор»", PHONE=[crm.phone("+78123330002")]), quiet=True)
    client = crm.add(
        "CONTACT",
        owned(
            PETROVA,
            NAME="Мария",
            LAST_NAME="Клиентова",
            COMPANY_ID=str(company.id),
            PHONE=[crm.phone("+7 (916) 555-00-11", "MOBILE")],
        ),
        quiet=True,
    )
    crm.add(
        "CONTACT",
        owned(SIDOROV, NAME="Глеб", LAST_NAME="Покупаев", COMPANY_ID="0", PHONE=[crm.phone("89265550022", "MOBILE")]),
        quiet=True,
    )
    crm.add(
        "LEAD",
        owned(IVANOV, TITLE="Заявка с сайта", STATUS_ID="NEW", SOURCE_ID="WEB", PHONE=[crm.phone("+79035550033")]),
        quiet=True,
    )
    crm.add(
        "DEAL",
        owned(
            PETROVA,
            TITLE="Поставка ромашек",
            STAGE_ID="NEW",
            CATEGORY_ID="0",
            CONTACT_ID=str(client.id),
            COMPANY_ID=str(company.id),
            OPPORTUNITY="120000.00",
            CURRENCY_ID="RUB",
        ),
        quiet=True,
    )
