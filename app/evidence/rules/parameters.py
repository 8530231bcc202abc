"""The numbers of evidence that an operator may change."""

from app.core.i18n import Words
from app.core.parameters import Parameter

MOST_BYTES = Parameter(
    "evidence.most_bytes",
    default=20 * 1024 * 1024,
    unit="bytes",
    words=Words("单张照片或签名的最大字节数", "What one photo or signature may weigh"),
    least=65_536,
    most=100 * 1024 * 1024,
)
# How the bytes of one picture, or a part of them, are described.
PICTURE_BYTES = {"type": "string", "format": "binary", "maxLength": int(MOST_BYTES.most)}
MOST_FILES = Parameter(
    "evidence.most_files",
    default=60,
    unit="files",
    words=Words("每张工单最多留存多少份凭证", "How many photos and signatures one order may have"),
    least=1,
    most=400,
)
UPLOAD_KEPT = Parameter(
    "evidence.upload_kept_hours",
    default=72,
    unit="h",
    words=Words(
        "未传完的上传在最后一片之后保留多久",
        "How long an unfinished upload is kept after its last piece",
    ),
    least=1,
    most=720,
)
GRACE = Parameter(
    "evidence.grace_hours",
    default=72,
    unit="h",
    words=Words(
        "竣工后多久内仍可补传凭证", "How long after completing an order its evidence may follow"
    ),
    most=720,
)
LEAST_SIDE = Parameter(
    "evidence.least_side_px",
    default=320,
    unit="px",
    words=Words("照片短边的最小像素数", "The least number of pixels of a photo's shorter side"),
    most=4_000,
)
# Pillow itself warns from 89 million pixels on, and this stays below.
MOST_MEGAPIXELS = Parameter(
    "evidence.most_megapixels",
    default=50,
    unit="Mpx",
    words=Words("图片最多多少百万像素", "How many million pixels a picture may have"),
    least=1,
    most=80,
)
SIGNATURE_SIDE = Parameter(
    "evidence.signature_side_px",
    default=4_000,
    unit="px",
    words=Words("签名图片长边的最大像素数", "The most pixels of a signature's longer side"),
    least=100,
    most=10_000,
)
LEAST_INK = Parameter(
    "evidence.least_ink_percent",
    default=0.1,
    unit="%",
    words=Words(
        "签名笔迹至少占图片的百分比", "How much of a signature's picture its strokes cover at least"
    ),
    most=50,
)
THUMBNAIL = Parameter(
    "evidence.thumbnail_px",
    default=320,
    unit="px",
    words=Words("缩略图长边的像素数", "How many pixels the longer side of a thumbnail has"),
    least=64,
    most=1_024,
)
FAR = Parameter(
    "evidence.far_m",
    default=1_000,
    unit="m",
    words=Words(
        "照片位置离工单地址超过多远即标记", "A photo taken farther from the address is marked"
    ),
)
OLD = Parameter(
    "evidence.old_minutes",
    default=60,
    unit="min",
    words=Words("照片早于出发多少分钟即标记", "A photo taken so long before setting out is marked"),
    most=525_600,
)
KEPT = Parameter(
    "evidence.kept_days",
    default=1_095,
    unit="days",
    words=Words(
        "凭证图片保留多少天，之后只留记录",
        "How many days pictures are kept; afterwards only the record stays",
    ),
    # A picture may be the signature under a sale.
    least=150,
    most=36_500,
    not_below="privacy.sale_consents_days",
)
OUTSTANDING = Parameter(
    "evidence.outstanding_days",
    default=30,
    unit="days",
    words=Words(
        "未补传的凭证在清单中保留多少天",
        "How many days evidence that never came is listed as outstanding",
    ),
    least=1,
    most=365,
)
