"""The databases that belong to the company: read, never written, and never waited for longer than told."""

from perezvon.company.address import DatabaseAddress
from perezvon.company.database import Answer, CompanyDatabase
from perezvon.company.statement import Statement
from perezvon.company.trouble import DatabaseTrouble, Fault
from perezvon.company.unfit import Unfit

__all__ = ["Answer", "CompanyDatabase", "DatabaseAddress", "DatabaseTrouble", "Fault", "Statement", "Unfit"]
