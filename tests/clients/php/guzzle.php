<?php
// Stand-in for ImageKit's PHP SDK: sends its requests with its HTTP client, and prints one line of
// JSON for each request.
require "GuzzleHttp/autoload.php";

[, $url, $fields] = $argv;
$client = new GuzzleHttp\Client(["base_uri" => $url]);
// The SDK passes an empty query with every request.
$options = ["query" => [], "headers" => json_decode($fields, true)];

function told(object $version): array
{
    return [$version->fileId, $version->versionInfo->name, $version->type];
}

function answer(string $file, ?string $version = null): array
{
    global $client, $options;
    try {
        $path = "/v1/files/$file/versions" . ($version ? "/$version" : "");
        $parsed = json_decode($client->request("GET", $path, $options)->getBody());
        return $version
            ? ["version" => told($parsed)]
            : ["versions" => array_map("told", $parsed)];
    } catch (GuzzleHttp\Exception\ConnectException $error) {
        return ["error" => ["name" => "ConnectException"]];
    } catch (GuzzleHttp\Exception\ClientException $error) {
        $response = $error->getResponse();
        $parsed = json_decode($response->getBody());
        $wait = $response->getHeaderLine("X-RateLimit-Reset");
        return ["error" => [
            "name" => "ClientException",
            "status" => $response->getStatusCode(),
            "message" => $parsed->message,
            "help" => $parsed->help,
            "wait" => $wait === "" ? null : (int) $wait,
        ]];
    }
}

foreach (array_slice($argv, 3) as $each) {
    echo json_encode(answer(...explode("/", $each))), "\n";
}
