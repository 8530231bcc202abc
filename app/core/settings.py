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
        default="", description="Base address of the ordering system's TMF622 API."
    )
    ordering_version: str = Field(
        default="4", pattern="^[45]$", description="Which version of TMF622 it speaks."
    )
    ordering_search_by: str = Field(
        default="externalId",
        pattern="^[A-Za-z.]{1,60}$",
        description="The query parameter by which it finds orders with our id.",
    )
    ordering_sign_in: str = Field(
        default="token",
        pattern="^(token|client_credentials|signature)$",
        description=(
            "How we tell the ordering system who we are: a fixed bearer token, a token from "
            "ordering_token_url (OAuth2 client credentials), or a signature of every request "
            "(Standard Webhooks, HMAC-SHA256). A client certificate can be shown with each."
        ),
    )
    ordering_token: SecretStr = SecretStr("")
    ordering_token_url: str = ""
    ordering_client_id: str = ""
    ordering_client_secret: SecretStr = SecretStr("")
    ordering_scope: str = ""
    ordering_signing_secret: SecretStr = Field(
        default=SecretStr(""), description="whsec_ and base64, of what signs our requests."
    )
    ordering_certificate: Path | None = Field(
        default=None, description="PEM of our client certificate (mutual TLS), chain included."
    )
    ordering_certificate_key: Path | None = None
    ordering_authority: Path | None = Field(
        default=None, description="PEM of the authority of theirs, where it is not a public one."
    )
    ordering_callback_token: SecretStr = Field(
        default=SecretStr(""), description="The bearer token that callbacks must carry."
    )
    ordering_callback_secret: SecretStr = Field(
        default=SecretStr(""),
        description="whsec_ and base64: callbacks may be signed with it instead of the token.",
    )
    ordering_callback_url: str = Field(
        default="",
        pattern=r"^$|^https?://",
        description=(
            "Our public address of /v1/ordering/callbacks, to be registered on the ordering "
            "system's hub; empty where it was told by hand."
        ),
    )
    ordering_timeout_seconds: float = Field(default=10.0, gt=0)
    ordering_concurrency: int = Field(
        default=32, ge=1, le=500, description="Exchanges that one worker has under way at most."
    )
    ordering_requests_per_second: float = Field(
        default=0, ge=0, description="What all workers together send at most; 0 is no limit."
    )
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
    real_name_url: str = Field(
        default="",
        description="Base address of the system that checks documents; empty means none is.",
    )
    real_name_token: SecretStr = SecretStr("")
    real_name_hash_keys: SecretStr = Field(
        default=SecretStr(""),
        description=(
            "Secrets under which document numbers are hashed, as id:base64 of 32 bytes or more, "
            "separated by commas. The first one hashes; to rotate, put a new one in front and keep "
            "the others, by which old numbers are still known."
        ),
    )
    serviceability_url: str = Field(
        default="",
        description=(
            "Base address of the API that knows what lines can do; empty means nobody is asked."
        ),
    )
    serviceability_shape: str = Field(
        default="tmf645",
        pattern="^(tmf645|tmf679)$",
        description="What it speaks: service or product offering qualification, both in version 4.",
    )
    serviceability_offering: str = Field(
        default="broadband",
        min_length=1,
        description="What a line is called there: a type of service, or the id of an offering.",
    )
    serviceability_token: SecretStr = SecretStr("")
    # Somebody waits at a door.
    serviceability_timeout_seconds: float = Field(default=1.5, gt=0)
    messaging_url: str = Field(
        default="",
        description=(
            "Base address of the messaging provider's API; empty means messages wait, and console: "
            "that they are written to the log."
        ),
    )
    messaging_token: SecretStr = SecretStr("")
    messaging_timeout_seconds: float = Field(default=5.0, gt=0)
    messaging_polls: bool = Field(
        default=True, description="Whether the provider is asked for what customers sent back."
    )
    messaging_callback_token: SecretStr = Field(
        default=SecretStr(""),
        description="The bearer token of a provider that tells of replies by itself; empty: none.",
    )
    streams: int = Field(
        default=6_000, ge=1, description="Streams of phones that one process keeps at most."
    )
    push_url: str = Field(
        default="",
        description="Base address of the gateway that wakes phones; empty means it is only logged.",
    )
    push_token: SecretStr = SecretStr("")
    push_timeout_seconds: float = Field(default=5.0, gt=0)
    webhook_hosts: str = Field(
        default="",
        description=(
            "Hosts that alerts may be sent to although they lie in a network of our own or speak "
            "plain http, separated by commas; all others have to be public and https."
        ),
    )
    webhook_secret_keys: SecretStr = Field(
        default=SecretStr(""),
        description=(
            "Keys under which the secrets of these addresses are kept in the database, as id:base64"
            " of 32 bytes or more, separated by commas; without one no address can be added. The "
            "first one seals; to rotate, put a new one in front and keep the others for an hour."
        ),
    )
    webhook_timeout_seconds: float = Field(default=5.0, gt=0)
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
    allowed_origins: str = Field(
        default="",
        pattern=r"^(https?://[^/\s]+( https?://[^/\s]+)*)?$",
        description=(
            "Web pages of other addresses that may ask this API in a browser, such as a map: their "
            "origins, with blanks between them; empty means none."
        ),
    )
    log_format: str = Field(default="json", pattern="^(json|console)$")
    log_level: str = "INFO"
