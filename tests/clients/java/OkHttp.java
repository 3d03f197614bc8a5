import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import okhttp3.Headers;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;

/**
 * Stand-in for ImageKit's Java SDK 2: sends its requests with its HTTP client, and prints, for
 * each thing asked for, a line of JSON each.
 */
final class OkHttp {
    private static final Gson GSON = new GsonBuilder().serializeNulls().create();
    private static final OkHttpClient CLIENT = new OkHttpClient();

    public static void main(String[] arguments) throws IOException {
        Map<String, String> fields = new LinkedHashMap<>();
        GSON.fromJson(arguments[1], JsonObject.class)
                .entrySet()
                .forEach(field -> fields.put(field.getKey(), field.getValue().getAsString()));
        for (int place = 2; place < arguments.length; place++) {
            String[] ids = arguments[place].split("/");
            System.out.println(GSON.toJson(answer(arguments[0], Headers.of(fields), ids)));
        }
    }

    private static Map<String, Object> answer(String url, Headers fields, String[] ids)
            throws IOException {
        String path = "/v1/files/" + ids[0] + "/versions" + (ids.length > 1 ? "/" + ids[1] : "");
        Request request = new Request.Builder().url(url + path).get().headers(fields).build();
        try (Response response = CLIENT.newCall(request).execute()) {
            String body = response.body().string();
            if (response.code() != 200) {
                return Map.of("error", refusal(response, GSON.fromJson(body, JsonObject.class)));
            }
            if (ids.length > 1) {
                return Map.of("version", told(GSON.fromJson(body, JsonObject.class)));
            }
            List<List<String>> versions = new ArrayList<>();
            for (JsonObject version : GSON.fromJson(body, JsonObject[].class)) {
                versions.add(told(version));
            }
            return Map.of("versions", versions);
        } catch (java.net.ConnectException error) {
            return Map.of("error", Map.of("name", "ConnectException"));
        }
    }

    private static List<String> told(JsonObject version) {
        return List.of(
                version.get("fileId").getAsString(),
                version.getAsJsonObject("versionInfo").get("name").getAsString(),
                version.get("type").getAsString());
    }

    private static Map<String, Object> refusal(Response response, JsonObject parsed) {
        String wait = response.header("X-RateLimit-Reset");
        Map<String, Object> refusal = new LinkedHashMap<>();
        refusal.put("name", response.getClass().getSimpleName());
        refusal.put("status", response.code());
        refusal.put("message", parsed.get("message").getAsString());
        refusal.put("help", parsed.get("help").getAsString());
        refusal.put("wait", wait == null ? null : Integer.valueOf(wait));
        return refusal;
    }
}
