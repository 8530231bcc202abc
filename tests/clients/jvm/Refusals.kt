package org.yingwei.client

import org.yingwei.client.infrastructure.ClientError
import org.yingwei.client.infrastructure.ClientException
import org.yingwei.client.infrastructure.Serializer
import org.yingwei.client.infrastructure.ServerError
import org.yingwei.client.infrastructure.ServerException
import org.yingwei.client.models.Problem

/** What was refused and why; null where it was not the server that answered but something before it. */
val ClientException.problem: Problem? get() = problemIn((response as? ClientError<*>)?.body)

/** The same of a failure of the server's own. */
val ServerException.problem: Problem? get() = problemIn((response as? ServerError<*>)?.body)

/** The word by which a refusal is known, such as `not-found`; api_docs/problems.md lists them. */
val Problem.slug: String get() = "$type".substringAfterLast(':')

private fun problemIn(body: Any?): Problem? = runCatching {
    Serializer.kotlinxSerializationJson.decodeFromString<Problem>(body as String)
}.getOrNull()
