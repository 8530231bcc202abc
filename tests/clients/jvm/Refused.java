package org.yingwei.client;

import org.yingwei.client.api.SignInApi;
import org.yingwei.client.model.Problem;

/** Meet a refusal with the Java client, and read it. */
public final class Refused {
    private Refused() {}

    public static void main(String[] none) throws ApiException {
        ApiClient client = new ApiClient();
        client.updateBaseUri(System.getenv("YINGWEI_URL"));
        String user = System.getenv("YINGWEI_USER");
        try {
            new SignInApi(client).authToken("password", user, "not theirs", null, null, null, null);
        } catch (ApiException refused) {
            Problem problem = Refusals.of(refused).orElseThrow();
            if (problem.getStatus() != refused.getCode() || problem.getDetail().isEmpty()) {
                throw new IllegalStateException(problem.toString());
            }
            System.out.println("was refused: " + Refusals.slug(problem));
            return;
        }
        throw new IllegalStateException("a wrong password was taken");
    }
}
