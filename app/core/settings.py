"""Settings: what differs from one installation to the next, read once and then frozen.

Numbers of the business (limits, thresholds, caps) are not here: they are dated data, see
`core/parameters.py`.
"""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The frozen settings of one process, from `YINGWEI_*` variables and `DATABASE_URL`."""

    model_config = SettingsConfigDict(
        env_prefix="YINGWEI_", frozen=True, extra="ignore", validate_by_name=True
    )

    database_url: str = Field(
        default="postgresql://localhost/yingwei",
        validation_alias="DATABASE_URL",
        description="PostgreSQL with PostGIS; any postgresql:// address psycopg understands.",
    )
    read_database_url: str = Field(
        default="", description="A streaming replica for reads; empty means the primary."
    )
    pool_size: int = Field(default=10, ge=1, description="Connections one process keeps.")
    pool_wait_seconds: float = Field(
        default=2.0, gt=0, description="How long a request waits for a connection before 503."
    )
    statement_timeout_seconds: float = Field(default=30.0, gt=0)
    clock: str = Field(
        default="", description="Empty is real time; the demo sets a compressed day."
    )
    signing_keys: Path = Field(
        default=Path(".local/keys"),
        description="Folder of Ed25519 private keys, one PEM a key id; the newest signs.",
    )
    issuer: str = "yingwei"
    access_token_minutes: int = Field(default=15, ge=1, le=15)
    refresh_token_days: int = Field(default=30, ge=1)
    ordering_url: str = Field(
        default="", description="Base address of the ordering system's TMF622 v4 API."
    )
    ordering_token: SecretStr = SecretStr("")
    ordering_callback_token: SecretStr = Field(
        default=SecretStr(""), description="The bearer token that callbacks must carry."
    )
    ordering_timeout_seconds: float = Field(default=10.0, gt=0)
    routing_url: str = Field(
        default="",
        description="Base address of a routing engine that knows the roads; empty means none.",
    )
    routing_engine: str = Field(default="osrm", pattern="^(osrm|valhalla)$")
    routing_timeout_seconds: float = Field(default=10.0, gt=0)
    activation_url: str = Field(
        default="",
        description="Base address of the activation platform's API; empty means lines wait.",
    )
    activation_token: SecretStr = SecretStr("")
    activation_timeout_seconds: float = Field(default=5.0, gt=0)
    messaging_url: str = Field(
        default="",
        description="Base address of the messaging provider's API; empty means messages wait.",
    )
    messaging_token: SecretStr = SecretStr("")
    messaging_timeout_seconds: float = Field(default=5.0, gt=0)
    evidence_folder: Path = Field(
        default=Path(".local/evidence"),
        description="Folder of photos and signatures, where no bucket is set; shared by all.",
    )
    evidence_bucket: str = Field(
        default="", description="A bucket that speaks S3, in place of the folder; empty means none."
    )
    evidence_endpoint: str = Field(
        default="", description="Address of the bucket's service; empty means that of AWS."
    )
    evidence_region: str = "us-east-1"
    evidence_access_key: SecretStr = SecretStr("")
    evidence_secret_key: SecretStr = SecretStr("")
    evidence_timeout_seconds: float = Field(default=20.0, gt=0)
    survey_url: str = Field(
        default="",
        pattern=r"^$|^https?://.*\{token\}",
        description=(
            "Address of the page on which customers answer surveys, with {token} where a link's "
            "secret part goes, as in https://example.org/survey/{token}; empty means surveys wait."
        ),
    )
    log_format: str = Field(default="json", pattern="^(json|console)$")
    log_level: str = "INFO"
