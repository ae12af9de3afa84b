"""What the company's database is asked while somebody waits, and what is known without it. Touches that database and our
own tables; the voice menu and the conference stand on it."""

from perezvon.asking.own_tables import OwnTables
from perezvon.asking.question import CompanyQuestion, Origin, Told, own_defect

__all__ = ["CompanyQuestion", "Origin", "OwnTables", "Told", "own_defect"]
