"""What can be said of a layer and its features: each code has words in two languages."""

from enum import StrEnum
from typing import Self

from app.core.i18n import Words


class Code(StrEnum):
    """What was found; `words` say what is the matter and what to do, with the facts in braces."""

    words: Words

    def __new__(cls, slug: str, zh: str, en: str) -> Self:
        code = str.__new__(cls, slug)
        code._value_ = slug
        code.words = Words(zh, en)
        return code

    # The file as a whole.
    NOT_UTF8 = (
        "not-utf8",
        "文件不是 UTF-8 编码（第 {byte} 字节处）；请另存为 UTF-8 后重新上传。",
        "The file is not UTF-8 text (at byte {byte}); save it as UTF-8 and send it again.",
    )
    NOT_JSON = (
        "not-json",
        "文件不是合法的 JSON（第 {line} 行第 {column} 列：{what}）；请重新导出 GeoJSON。",
        "The file is not JSON (line {line}, column {column}: {what}); export it as GeoJSON again.",
    )
    TOO_MANY_BYTES = (
        "too-many-bytes",
        "文件有 {found} 字节，上限为 {limit}；请按区县拆分成多个文件。",
        "The file has {found} bytes, the limit is {limit}; split it, for example by district.",
    )
    TOO_MANY_FEATURES = (
        "too-many-features",
        "图层有 {found} 个要素，上限为 {limit}；请按区县拆分成多个文件。",
        "The layer has {found} features, the limit is {limit}; split it, for example by district.",
    )
    TOO_MANY_VERTICES = (
        "too-many-vertices",
        "图层的顶点超过上限 {limit}；请先化简边界，或拆分成多个文件。",
        "The layer has more than {limit} vertices; simplify the boundaries or split the file.",
    )
    TOO_MANY_VALUES = (
        "too-many-values",
        "文件含有的值超过上限 {limit} 个；请删除多余的属性，或拆分成多个文件。",
        "The file holds more than {limit} values; drop properties or split the file.",
    )
    TOO_DEEP = (
        "too-deep",
        "文件嵌套至少 {found} 层，上限为 {limit}；请删除属性中的嵌套内容后重新导出。",
        "The file nests {found} levels or more, the limit is {limit}; drop nested properties.",
    )

    # The file's format, and what it is packed in.
    OTHER_FORMAT = (
        "other-format",
        "文件是 {found}；请提供 GeoJSON、GeoPackage，或含 .shp、.shx、.dbf、.prj 的 zip 压缩包。",
        "The file is {found}; send GeoJSON, a GeoPackage, or a zip of .shp, .shx, .dbf and .prj.",
    )
    ZIP_BROKEN = (
        "zip-broken",
        "压缩包损坏、加密或压缩方式不受支持（{what}）；请重新压缩为普通 zip。",
        "The zip is damaged, encrypted or packed unusually ({what}); pack it again as a plain zip.",
    )
    ZIP_WITHOUT_SHAPES = (
        "zip-without-shapes",
        "压缩包中没有 .shp 文件，只有：{found}；请压缩同名的 .shp、.shx、.dbf、.prj。",
        "The zip holds no .shp, only: {found}; pack the .shp, .shx, .dbf and .prj of one name.",
    )
    PART_MISSING = (
        "part-missing",
        "图层 {layer} 缺少 {missing}；请把同名的 .shp、.shx、.dbf、.prj 一起压缩。",
        "The layer {layer} lacks its {missing}; pack .shp, .shx, .dbf and .prj together.",
    )
    TOO_MANY_ENTRIES = (
        "too-many-entries",
        "压缩包中有 {found} 个文件，上限为 {limit}；请只压缩要导入的图层。",
        "The zip holds {found} files, the limit is {limit}; pack only the layer to be imported.",
    )
    UNPACKED_TOO_LARGE = (
        "unpacked-too-large",
        "图层解压后有 {found} 字节，上限为 {limit}（压缩比上限 {ratio}）；请删除多余的字段或拆分。",
        "Unpacked, the layer has {found} bytes; the limit is {limit}, and {ratio} times what is "
        "packed. Drop fields or split the layer.",
    )
    LAYER_UNCHOSEN = (
        "layer-unchosen",
        "文件中有多个图层：{layers}；请用 layer 选择其中一个。",
        "The file holds several layers: {layers}; choose one with `layer`.",
    )
    LAYER_UNKNOWN = (
        "layer-unknown",
        "文件中没有图层 {layer}；现有：{layers}。请用 layer 选择其中一个。",
        "There is no layer {layer} in the file; there are: {layers}. Choose one with `layer`.",
    )
    LAYER_COMPUTED = (
        "layer-computed",
        "图层 {layer} 是视图、虚拟表或含有计算列；请导出为普通图层后重新上传。",
        "The layer {layer} is a view, a virtual table or has computed columns; export it as a "
        "plain one and send that.",
    )
    NOT_READABLE = (
        "not-readable",
        "文件已损坏，无法按 {format} 读取（{what}）；请重新导出。",
        "The file is damaged and cannot be read as {format} ({what}); export it again.",
    )
    TOO_COSTLY = (
        "too-costly",
        "读取文件超过了 {seconds} 秒或 {megabytes} MB 内存的上限；请化简或拆分图层。",
        "Reading the file takes more than {seconds} s or {megabytes} MB of memory; simplify the "
        "layer or split it.",
    )
    ENCODING_UNKNOWN = (
        "encoding-unknown",
        "属性表的文字不是以下任何一种编码：{tried}；请重新导出为 UTF-8，并附上 .cpg 文件。",
        "The text of the attributes is none of {tried}; export it as UTF-8 with its .cpg file.",
    )

    # The coordinate system the file says it is in.
    CRS_UNKNOWN = (
        "crs-unknown",
        "无法识别文件的坐标参考系（{crs}）；请导出为经纬度（EPSG:4326 或 EPSG:4490）后重新上传。",
        "The file's coordinate reference system ({crs}) is not understood; export the layer in "
        "degrees (EPSG:4326 or EPSG:4490) and send that.",
    )
    CRS_OF_ANOTHER_DATUM = (
        "crs-of-another-datum",
        "坐标参考系 {crs} 的基准面与 WGS-84 可相差上百米，转换参数因地而异；"
        "请在 GIS 软件中转换为 EPSG:4490 或 EPSG:4326 后重新上传。",
        "{crs} has a datum that can lie a hundred metres from WGS-84, by parameters that differ "
        "from place to place; convert the layer to EPSG:4490 or EPSG:4326 in a GIS and send that.",
    )
    CRS_AGAINST_DECLARED = (
        "crs-against-declared",
        "文件写明坐标系为 {crs}，与声明的 {coordsys} 矛盾；请核对：测绘成果请声明 wgs84，"
        "取自地图的请去掉错误的坐标系定义。",
        "The file says {crs}, which contradicts the declared {coordsys}: declare wgs84 for "
        "surveyed positions, or take the wrong definition out of a layer drawn on such a map.",
    )
    CRS_AGAINST_POSITIONS = (
        "crs-against-positions",
        "坐标（{x}，{y}）不可能属于文件写明的坐标参考系 {crs}；请核对投影带号与坐标系定义。",
        "({x}, {y}) cannot be a position in {crs}, as the file says; check the zone and the system "
        "the layer was given.",
    )

    # The members of an object (RFC 7946, sections 1.4 to 7.1).
    NOT_AN_OBJECT = (
        "not-an-object",
        "此处应为 JSON 对象，实为 {found}；请删除它或补全内容。",
        "A JSON object belongs here, not {found}; remove it or complete it.",
    )
    FEATURES_WRONG = (
        "features-wrong",
        "FeatureCollection 的 features 应为要素数组，实为 {found}；请重新导出。",
        "The features of a FeatureCollection must be an array, not {found}; export it again.",
    )
    NOT_AN_ARRAY = (
        "not-an-array",
        "此处应为数组，实为 {found}；坐标的嵌套层数与几何类型不符，请重新导出。",
        "An array belongs here, not {found}; the nesting does not fit the type, export it again.",
    )
    TYPE_UNKNOWN = (
        "type-unknown",
        "type 应为 {expected}，实为 {found}（区分大小写）；请更正或重新导出。",
        "The type must be {expected}, not {found} (capitals matter); correct it or export again.",
    )
    MEMBER_MISPLACED = (
        "member-misplaced",
        "{type} 对象不能有成员 {member}；请删除它，或改用正确的 type。",
        "A {type} cannot have the member {member}; remove it or use the type that has it.",
    )
    MEMBER_TWICE = (
        "member-twice",
        "成员 {member} 出现了不止一次，无法确定以哪一个为准；请只保留一个。",
        "The member {member} appears more than once, so its value is in doubt; keep one.",
    )
    BBOX_WRONG = (
        "bbox-wrong",
        "bbox 应为 4 个或 6 个数字；请更正，或删除 bbox。",
        "A bbox is an array of 4 or 6 numbers; correct it or remove it.",
    )
    ID_WRONG = (
        "id-wrong",
        "要素的 id 应为文字或数字，实为 {found}；请更正，或删除 id。",
        "A feature's id is text or a number, not {found}; correct it or remove it.",
    )
    PROPERTIES_WRONG = (
        "properties-wrong",
        "properties 应为 JSON 对象，实为 {found}；请补上名称等属性。",
        "The properties must be a JSON object, not {found}; add the name and other properties.",
    )
    VALUE_WRONG = (
        "value-wrong",
        "该属性值含有空字符、残缺字符或超出范围的数字，无法保存；请更正。",
        "This value holds a NUL, half a character or a number out of range; correct it.",
    )
    BARE_GEOMETRY = (
        "bare-geometry",
        "文件只有几何图形 {type}，没有名称；请包装成带 properties 的 Feature。",
        "This is a bare {type} without a name; wrap it in a Feature with properties.",
    )

    # The geometry.
    NO_GEOMETRY = (
        "no-geometry",
        "要素没有几何图形；请画出边界，或删除该要素。",
        "The feature has no geometry; draw its boundary or remove it.",
    )
    NOT_A_POLYGON = (
        "not-a-polygon",
        "几何类型为 {type}；网格边界必须是 Polygon 或 MultiPolygon，请改画为面。",
        "This is a {type}; a grid's boundary is a Polygon or MultiPolygon, draw it as an area.",
    )
    POSITION_SHORT = (
        "position-short",
        "坐标至少要有经度和纬度两个数字；请更正该点。",
        "A position needs at least a longitude and a latitude; correct this point.",
    )
    NOT_A_NUMBER = (
        "not-a-number",
        "坐标必须是有限的数字，实为 {found}；请更正该点。",
        "A coordinate must be a finite number, not {found}; correct this point.",
    )
    RING_SHORT = (
        "ring-short",
        "环只有 {found} 个点，至少需要 4 个（首尾相同）；请补全或删除该环。",
        "The ring has {found} positions and needs at least 4, the last like the first; redraw it.",
    )
    RING_OPEN = (
        "ring-open",
        "环没有闭合：最后一个点必须与第一个点完全相同；请闭合该环。",
        "The ring is not closed: its last position must equal its first; close it.",
    )
    EMPTY = (
        "empty",
        "几何图形是空的；请画出边界，或删除该要素。",
        "The geometry is empty; draw its boundary or remove the feature.",
    )
    PROJECTED = (
        "projected",
        "坐标（{lon}，{lat}）不是经纬度，像是以米为单位的投影坐标；请导出为经纬度（EPSG:4326）。",
        "({lon}, {lat}) are not degrees but look like metres of a projection; export EPSG:4326.",
    )
    AXES_SWAPPED = (
        "axes-swapped",
        "坐标（{lon}，{lat}）的纬度不合理，经度和纬度可能颠倒了；请按先经度后纬度重新导出。",
        "({lon}, {lat}) has an unlikely latitude: the axes look swapped; put longitude first.",
    )
    ANTIMERIDIAN = (
        "antimeridian",
        "边界跨越 180° 经线；请在 180° 处把它切成两部分（MultiPolygon）。",
        "The boundary crosses the 180° meridian; cut it there into two parts (a MultiPolygon).",
    )
    TOO_BIG = (
        "too-big",
        "面积为 {area_km2} 平方公里，超过网格上限 {limit_km2}；坐标可能不是经纬度，请核对。",
        "Its area is {area_km2} km2, a grid has at most {limit_km2}; are these degrees? Check it.",
    )
    TANGLED = (
        "tangled",
        "边界过于杂乱：约 {meetings} 对边相遇或相交，无法可靠处理；请重新绘制或化简。",
        "The boundary is a tangle: {meetings} or so pairs of edges meet or cross; draw it again.",
    )
    NO_AREA = (
        "no-area",
        "边界没有围成面积（不足 {least_m2} 平方米）；请重新绘制，或删除该要素。",
        "The boundary encloses less than {least_m2} m2; draw it again or remove the feature.",
    )

    REPAIR_TOO_GREAT = (
        "repair-too-great",
        "边界不合法（{why_zh}），修复会使面积从 {area_before_m2} 变为 {area_after_m2} 平方米"
        "（{change:+.4%}），超过 {limit_percent}%；请重新绘制，或确认接受修复（accept_repair）。",
        "The boundary is not valid ({why_en}); repair would change its area from {area_before_m2} "
        "to {area_after_m2} m2 ({change:+.4%}), more than {limit_percent} %: draw it again, or "
        "accept the repair (accept_repair).",
    )

    # Names.
    UNNAMED = (
        "unnamed",
        "缺少名称字段 {field}；该要素有的字段：{fields}。请选择正确的名称字段或补上名称。",
        "It has no name in {field}; its fields are: {fields}. Choose the right field or fill it.",
    )
    NAME_WRONG = (
        "name-wrong",
        "字段 {field} 的值不能作名称或编码：应为 1 至 {longest} 个字符的文字或数字；请更正。",
        "The value in {field} cannot name a grid (1 to {longest} characters or a number); mend it.",
    )
    CODE_WRONG = (
        "code-wrong",
        "编码「{code}」只能含字母、数字、汉字和 _ . - : /，最长 {longest} 个字符；"
        "请更正，或另选编码字段。",
        'The code "{code}" may hold letters, digits and _ . - : / only, at most {longest}; mend it '
        "or choose another code field.",
    )
    CODE_TWICE = (
        "code-twice",
        "编码 {code} 已属于第 {index} 个要素「{name}」；请使用不同的编码，或统一名称。",
        'The code {code} belongs to feature {index}, "{name}"; use another, or the same name.',
    )

    # Notes: nothing is refused, but nothing is changed in silence either.
    MERGED = (
        "merged",
        "要素 {rows} 同名，已合并为一个网格「{name}」。",
        'Features {rows} have one name and were merged into the one grid "{name}".',
    )
    REPAIRED = (
        "repaired",
        "边界不合法（{why_zh}），已自动修复，面积变化 {change:+.4%}；请在地图上核对。",
        "The boundary was not valid ({why_en}) and was repaired; its area changed by "
        "{change:+.4%}. Check it on the map.",
    )
    ALTITUDE_DROPPED = (
        "altitude-dropped",
        "坐标中的高程（或 M 值）已忽略，只保留经度和纬度。",
        "Altitudes (or measures) were dropped; only longitude and latitude are kept.",
    )
    OUTSIDE_CHINA = (
        "outside-china",
        "声明为 {coordsys}，但边界在中国范围之外，未作偏移换算；请核对坐标系。",
        "Declared {coordsys} but outside China, where nothing is shifted; check the system.",
    )
    ENCODING_GUESSED = (
        "encoding-guessed",
        "属性表未声明可用的编码，按 {encoding} 读取；请核对名称是否正常显示。",
        "The attributes do not say their encoding truly and were read as {encoding}; see whether "
        "the names look right.",
    )
    CRS_MISSING = (
        "crs-missing",
        "文件未写明坐标参考系，坐标按 {coordsys} 经纬度理解；请核对。",
        "The file names no coordinate reference system; its numbers were taken for degrees in "
        "{coordsys}. Check them on the map.",
    )
    CRS_TRANSFORMED = (
        "crs-transformed",
        "坐标已从 {crs} 换算为经纬度，再按 {coordsys} 处理。",
        "The positions were transformed from {crs} to degrees, taken as {coordsys}.",
    )
    FITS_BETTER = (
        "fits-better",
        "声明为 {coordsys} 时，与现有网格相互侵占 {as_declared_m2} 平方米；若为 {better}，"
        "只有 {as_better_m2} 平方米。坐标系可能声明错了，请核对。",
        "Taken as {coordsys} the layer encroaches on the known grids by {as_declared_m2} m2, "
        "taken as {better} by {as_better_m2} m2 only. The wrong system may be declared; check it.",
    )


NOTES = frozenset(
    {
        Code.MERGED,
        Code.REPAIRED,
        Code.ALTITUDE_DROPPED,
        Code.OUTSIDE_CHINA,
        Code.ENCODING_GUESSED,
        Code.CRS_MISSING,
        Code.CRS_TRANSFORMED,
        Code.FITS_BETTER,
    }
)
