"""The words of terminals: kinds and the pools a serial number can be in."""

from enum import StrEnum


class TerminalKind(StrEnum):
    """What stands in the customer's home."""

    ONT_GATEWAY = "ont_gateway"
    SET_TOP_BOX = "set_top_box"
    WIFI_REPEATER = "wifi_repeater"
    CAMERA = "camera"


class Pool(StrEnum):
    """Where a serial number is booked."""

    WAREHOUSE = "warehouse"
    VAN = "van"
    CUSTOMER = "customer"
    RECOVERED = "recovered"
    REFURBISH = "refurbish"
    SCRAP = "scrap"


# Who holds a terminal in a pool; in the others nobody does.
HELD_BY: dict[Pool, str] = {Pool.VAN: "technician", Pool.CUSTOMER: "customer"}
