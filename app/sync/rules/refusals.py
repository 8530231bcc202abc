"""Why a phone cannot go on from where it is."""

from app.core.errors import Forbidden, Problem
from app.core.i18n import Words


class ResyncNeeded(Problem):
    slug, status = "resync-needed", 410
    title = Words(zh="需要重新同步", en="This phone has to begin anew")
    advice = Words(
        zh="请先上传未发送的操作（不要删除），再不带 last_pulled_at 重新拉取。原因：{reason}。",
        en="Keep what is unsent and push it first, then pull without last_pulled_at: {reason}.",
    )


class PhoneTooOld(Problem):
    slug, status = "phone-too-old", 426
    upgrade = "yingwei-tables/{oldest}"
    title = Words(zh="应用版本过旧", en="This version of the app is too old")
    advice = Words(
        zh="请更新应用：数据版本 {schema_version} 低于最低要求 {oldest}；未发送的操作不会丢失。",
        en="Update the app: schema version {schema_version} is older than {oldest}, the oldest that"
        " is served. What is unsent stays and can be pushed.",
    )


class AccessRevoked(Forbidden):
    slug = "access-revoked"
    title = Words(zh="账号已停用", en="This account is closed")
    advice = Words(
        zh="请清除本机上的客户资料并联系班组长。已上传的操作作为凭据保留。",
        en="Remove what this phone keeps, and speak to your supervisor. What was pushed is kept as"
        " evidence.",
    )
