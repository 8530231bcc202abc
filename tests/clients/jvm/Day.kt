package org.yingwei.client

import java.security.SecureRandom
import java.time.OffsetDateTime
import java.util.UUID
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put
import org.yingwei.client.apis.SignInApi
import org.yingwei.client.apis.SyncApi
import org.yingwei.client.apis.VisitsApi
import org.yingwei.client.infrastructure.ApiClient
import org.yingwei.client.infrastructure.ClientException
import org.yingwei.client.infrastructure.Serializer
import org.yingwei.client.models.ActionIn
import org.yingwei.client.models.ActionRowsIn
import org.yingwei.client.models.ActionVerdict
import org.yingwei.client.models.ChangesIn
import org.yingwei.client.models.SyncPushIn
import org.yingwei.client.models.StepIn

private val luck = SecureRandom()

/** A UUIDv7: what a phone makes has an id of the phone's own, so that it may be sent again. */
fun newId(): UUID = UUID(
    (System.currentTimeMillis() shl 16) or 0x7000L or luck.nextInt(0x1000).toLong(),
    (luck.nextLong() ushr 2) or Long.MIN_VALUE,
)

/** Sign in, pull, push what was done without a network, and meet a refusal. */
fun main() {
    // What is not said is left out, and is not null.
    Serializer.kotlinxSerializationJsonConfiguration = { explicitNulls = false }

    val url = System.getenv("YINGWEI_URL")
    val tokens = SignInApi(url).authToken(
        SignInApi.GrantTypeAuthToken.PASSWORD,
        username = System.getenv("YINGWEI_USER"),
        password = System.getenv("YINGWEI_PASSWORD"),
    )
    ApiClient.accessToken = tokens.accessToken

    val sync = SyncApi(url)
    val pull = sync.syncPull()
    val order = checkNotNull(pull.changes.workOrders) { "no order came" }.updated.first()

    val action = ActionIn(
        id = newId(),
        type = "visits_acknowledge",
        payload = buildJsonObject { put("work_order_id", "${order.id}") },
        deviceAt = OffsetDateTime.now(),
    )
    val push = SyncPushIn(ChangesIn(ActionRowsIn(created = listOf(action))), pull.timestamp)
    check(sync.syncPush(push).verdicts.single().verdict == ActionVerdict.APPLIED)
    check(sync.syncPush(push).verdicts.single().verdict == ActionVerdict.DUPLICATE)

    try {
        VisitsApi(url).visitsAcknowledge(newId(), StepIn(OffsetDateTime.now()))
        error("there is no such order")
    } catch (refused: ClientException) {
        val problem = checkNotNull(refused.problem) { "it is told as a problem" }
        check(problem.status == 404 && problem.slug == "not-found" && problem.title.isNotEmpty())
    }
    println("signed in, pulled, pushed an action twice")
}
