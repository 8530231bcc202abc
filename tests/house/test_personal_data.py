"""Every column about a person is in the register, and the register names no column that is not."""

import re
from typing import Any

import pytest
from sqlalchemy import Column, Index, Text

from app.privacy.rules.periods import PERIODS, WITHOUT, What
from app.privacy.rules.register import NOBODYS, REGISTER
from app.tables import metadata

# Words that, as the last of a column's name, speak of a person or may hold what people write.
PERSONAL = re.compile(
    r"(^|_)(name|phone|mobile|email|address|contact|recipient|body|note|summary|point|reference"
    r"|competitor|serial_numbers?|service_number|room|building|locality|consent_evidence|loid"
    r"|username|device|subject|filename|birth|gender|sex|age|id_card)(_zh|_en)?$"
)
# They hold nobody's data longer than a day, and go with the row they are about.
PASSING = {"contact_slot", "lifecycle_due", "sync_loaded", "sync_tier"}


def test_no_column_about_a_person_is_left_out():
    left_out = [
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if (PERSONAL.search(column.name) or _says_why(column))
        and column.name not in (REGISTER[table.name].columns if table.name in REGISTER else {})
        and f"{table.name}.{column.name}" not in NOBODYS
    ]
    assert left_out == [], "register each in app/privacy/rules/register.py, or say why it is not"


def test_no_table_about_customers_is_left_out():
    about = {table.name for table in metadata.tables.values() if "customer_id" in table.columns}
    assert about - set(REGISTER) - PASSING == set(), "register them, so that exports are whole"


def test_the_register_names_columns_that_exist():
    named = [(table, name) for table, entry in REGISTER.items() for name in entry.columns]
    named += [(table, name) for table, entry in REGISTER.items() for name in entry.hidden]
    named += [(table, name) for table, _, name in (each.partition(".") for each in NOBODYS)]
    assert [
        f"{table}.{column}"
        for table, column in named
        if table not in metadata.tables or column not in metadata.tables[table].columns
    ] == []


def test_every_table_of_the_register_has_a_period_or_a_reason_for_none():
    ending = {period.table for period in PERIODS}
    assert set(REGISTER) - ending - set(WITHOUT) == set(), "in app/privacy/rules/periods.py"
    assert (ending & set(WITHOUT), set(WITHOUT) - set(REGISTER)) == (set(), set())


def _says_why(column: Column[Any]) -> bool:
    """Why something was done is free text, where it is none of a few words."""
    return column.name.endswith("reason") and isinstance(column.type, Text)


def _where(index: Index) -> Any:
    where = index.dialect_options["postgresql"]["where"]
    return "" if where is None else where


@pytest.mark.parametrize("period", PERIODS, ids=lambda period: period.name)
def test_a_period_is_about_a_table_and_never_below_what_the_law_asks(period):
    table = metadata.tables[period.table]
    assert period.key in table.columns
    assert period.what is not What.DAYS or "customer_id" in table.columns
    assert period.days.least <= period.days.default <= period.days.most
    assert bool(period.change) is (period.what is What.COLUMNS)
    if period.what is What.COLUMNS or period.by_created_at:
        served = [
            index
            for index in table.indexes
            if list(index.columns.keys()) == ["created_at", period.key]
            and str(_where(index)) == period.holds
        ]
        assert served, "what is to be forgotten is found by an index, in the words of `holds`"
    if period.table == "contact_consent":
        assert period.days.least >= 150  # five months after consent ends
    if period.table == "audit_entry":
        assert period.days.least >= 183  # half a year of logs
