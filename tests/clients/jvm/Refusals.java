package org.yingwei.client;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.util.Optional;
import org.yingwei.client.model.Problem;

/** Refusals as the API tells them, out of the exceptions that calls throw. */
public final class Refusals {
    private Refusals() {}

    /** What was refused and why; empty where not the server answered but something before it. */
    public static Optional<Problem> of(ApiException refused) {
        if (refused.getResponseBody() == null) {
            return Optional.empty();
        }
        try {
            var mapper = ApiClient.createDefaultObjectMapper();
            return Optional.of(mapper.readValue(refused.getResponseBody(), Problem.class));
        } catch (JsonProcessingException notOurs) {
            return Optional.empty();
        }
    }

    /** The word by which a refusal is known, such as not-found; api_docs/problems.md lists them. */
    public static String slug(Problem problem) {
        String type = problem.getType().toString();
        return type.substring(type.lastIndexOf(':') + 1);
    }
}
