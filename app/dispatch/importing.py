"""Reading orders from somebody else's CSV file by a map: which column is which field.

Pure: rows in, orders in the wire shape of intake out. The map is a YAML file of this shape:

    time_zone: America/New_York            # of moments that name none; default Asia/Shanghai
    coordsys: wgs84                        # of lon and lat; the command may say it instead
    encoding: gb18030                      # of the file; default UTF-8
    fields:
      external_id: {column: case_id}
      work_type:   {constant: repair}
      address:     {template: "{street}, {zip}", otherwise: unknown}
      priority:    {column: urgency, values: {high: 1, low: 4}, otherwise: 3}
      reported_at: {column: opened, format: "%m/%d/%Y %I:%M:%S %p"}
      skills:      {column: needs, split: ";"}
      lon:         {column: longitude}
      lat:         {column: latitude}
"""

import codecs
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.core.errors import Invalid
from app.core.geo import CoordSys

Cell = str | int | float

# The fields a map can fill: those of an order, with the point as its two numbers.
FieldName = Literal[
    "id",
    "external_id",
    "work_type",
    "priority",
    "org_unit_code",
    "customer_code",
    "service_number",
    "contact_name",
    "contact_phone",
    "address",
    "locality",
    "lon",
    "lat",
    "skills",
    "terminals",
    "estimated_minutes",
    "appointment_from",
    "appointment_until",
    "reported_at",
    "summary",
]
NEEDED: tuple[FieldName, ...] = ("external_id", "work_type", "address")
NUMBERS = frozenset({"priority", "lon", "lat", "estimated_minutes"})
MOMENTS = frozenset({"appointment_from", "appointment_until", "reported_at"})

# A template that has nothing to say leaves only what stands between its columns.
_BETWEEN = re.compile(r"^[\s,;:/|-]+|[\s,;:/|-]+$")
_COLUMN = re.compile(r"\{([^{}]+)\}")


class FieldMap(BaseModel):
    """Where one field comes from: one column, a constant, or a template of several columns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = None
    constant: Cell | None = None
    template: str | None = None
    values: dict[str, Cell] | None = None
    otherwise: Cell | None = None
    format: str | None = None
    split: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [self.column, self.constant, self.template]
        if sum(source is not None for source in given) != 1:
            raise ValueError("give one of column, constant and template")
        return self

    def columns(self) -> list[str]:
        """List the columns that it reads."""
        return _COLUMN.findall(self.template) if self.template else [self.column or ""]

    def read(self, row: Mapping[str, str]) -> Cell | None:
        """Read the field from a row; None when the row says nothing of it."""
        if self.constant is not None:
            return self.constant
        if self.template is not None:
            filled = _COLUMN.sub(lambda found: row[found[1]].strip(), self.template)
            cell = _BETWEEN.sub("", filled)
        else:
            cell = row[self.column or ""].strip()
        if not cell:
            return self.otherwise
        if self.values is not None:
            return self.values.get(cell, self.otherwise if self.otherwise is not None else cell)
        return cell


class OrderMap(BaseModel):
    """A whole map. `coordsys` is that of `lon` and `lat`; it has no default on purpose."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time_zone: str = "Asia/Shanghai"
    coordsys: CoordSys | None = None
    encoding: str = "utf-8-sig"
    fields: dict[FieldName, FieldMap] = Field(min_length=1)

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("not a name of the time zone database") from error
        return name

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str) -> str:
        try:
            codecs.lookup(name)
        except LookupError as error:
            raise ValueError("not an encoding that Python knows") from error
        return name

    @model_validator(mode="after")
    def _enough(self) -> Self:
        missing = [name for name in NEEDED if name not in self.fields]
        if missing:
            raise ValueError(f"an order needs {', '.join(missing)}")
        if ("lon" in self.fields) != ("lat" in self.fields):
            raise ValueError("lon and lat belong together")
        return self

    def check_columns(self, columns: list[str]) -> None:
        """Check that a file has every column the map reads. Raises Invalid."""
        wanted = {
            column: name
            for name, one in self.fields.items()
            if one.constant is None
            for column in one.columns()
        }
        missing = [(column, name) for column, name in wanted.items() if column not in columns]
        if missing:
            raise Invalid(
                errors=[
                    {"field": name, "message": f"the file has no column {column}"}
                    for column, name in missing
                ]
            )

    def order(
        self, row: Mapping[str, str], *, source: str, coordsys: CoordSys | None
    ) -> dict[str, Any]:
        """Turn a row into an order as it goes over the wire; what cannot be read stays as it is.

        Intake then refuses such a line by its field, as it does for any other sender.
        """
        zone = ZoneInfo(self.time_zone)
        body: dict[str, Any] = {"source": source}
        for name, one in self.fields.items():
            cell = one.read(row)
            if cell is not None:
                body[name] = _as(name, cell, one, zone)
        lon, lat = body.pop("lon", None), body.pop("lat", None)
        if lon is not None or lat is not None:
            body["point"] = {"lon": lon, "lat": lat, "coordsys": coordsys}
        return body


def _as(name: str, cell: Cell, one: FieldMap, zone: ZoneInfo) -> Any:
    if isinstance(cell, str):
        if one.split is not None:
            return [part.strip() for part in cell.split(one.split) if part.strip()]
        if name in ("skills", "terminals"):
            return [cell]
        if name in MOMENTS:
            return _moment(cell, one.format, zone)
        if name in NUMBERS:
            return _number(cell)
        return cell
    return cell if name in NUMBERS else str(cell)


def _moment(cell: str, form: str | None, zone: ZoneInfo) -> str:
    try:
        found = datetime.strptime(cell, form) if form else datetime.fromisoformat(cell)  # noqa: DTZ007
    except ValueError:
        return cell
    return (found if found.tzinfo else found.replace(tzinfo=zone)).isoformat()


def _number(cell: str) -> Cell:
    try:
        number = float(cell)
    except ValueError:
        return cell
    return int(number) if number.is_integer() else number


def read_map(text: str) -> OrderMap:
    """Read a map from YAML. Raises Invalid, naming each part that is wrong."""
    try:
        return OrderMap.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise Invalid(errors=[{"field": "", "message": f"not YAML: {error}"}]) from error
    except ValidationError as error:
        raise Invalid(
            errors=[
                {"field": ".".join(map(str, one["loc"])), "message": one["msg"]}
                for one in error.errors()
            ]
        ) from error
