"""The catalogue's words, and who may sell what at the door."""

from enum import StrEnum


class BusinessType(StrEnum):
    """The six types of business; each says what a technician on site may do with it."""

    SALES = "sales"
    STRATEGIC = "strategic"
    INCENTIVE = "incentive"
    RETENTION = "retention"
    SERVICE = "service"
    SENSITIVE = "sensitive"


class OnSite(StrEnum):
    """What a technician may do at the door with an offering."""

    SELL = "sell"
    LEAD_ONLY = "lead_only"
    STANDARD_ONLY = "standard_only"
    FACE_TO_FACE = "face_to_face"


ON_SITE: dict[BusinessType, OnSite] = {
    BusinessType.SALES: OnSite.SELL,
    BusinessType.STRATEGIC: OnSite.LEAD_ONLY,
    BusinessType.INCENTIVE: OnSite.SELL,
    BusinessType.RETENTION: OnSite.STANDARD_ONLY,
    BusinessType.SERVICE: OnSite.SELL,
    BusinessType.SENSITIVE: OnSite.FACE_TO_FACE,
}
