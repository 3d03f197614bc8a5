// Client program for ImageKit's Node.js SDK 7: prints one line of JSON for each request.
import ImageKit from "@imagekit/nodejs";

const [url, key, retries, ...asked] = process.argv.slice(2);
const client = new ImageKit({ privateKey: key, baseURL: url, maxRetries: Number(retries) });

const told = ({ fileId, versionInfo, type }) => [fileId, versionInfo.name, type];

async function answer(file, version) {
  try {
    return version
      ? { version: told(await client.files.versions.get(version, { fileId: file })) }
      : { versions: (await client.files.versions.list(file)).map(told) };
  } catch (error) {
    if (!(error instanceof ImageKit.APIError)) throw error;
    const wait = error.headers?.get("retry-after-ms");
    return {
      error: {
        name: error.constructor.name,
        status: error.status,
        message: error.error?.message,
        help: error.error?.help,
        wait: wait && Number(wait),
      },
    };
  }
}

for (const each of asked) console.log(JSON.stringify(await answer(...each.split("/"))));
