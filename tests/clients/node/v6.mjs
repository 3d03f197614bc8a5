// Client program for ImageKit's Node.js SDK 6: prints one line of JSON for each request.
import { createRequire } from "node:module";

const [url, key, , ...asked] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const ImageKit = require("imagekit");
const client = new ImageKit({
  publicKey: "public_unused",
  privateKey: key,
  urlEndpoint: "https://ik.imagekit.io/unused",
});

// This SDK has no option for another base URL, but it uses the shared axios instance.
const axios = createRequire(require.resolve("imagekit"))("axios");
axios.interceptors.request.use((request) => {
  request.url = request.url.replace("https://api.imagekit.io", url);
  return request;
});

const told = ({ fileId, versionInfo, type }) => [fileId, versionInfo.name, type];

async function answer(file, version) {
  try {
    return version
      ? { version: told(await client.getFileVersionDetails({ fileId: file, versionId: version })) }
      : { versions: (await client.getFileVersions(file)).map(told) };
  } catch (error) {
    if (error instanceof Error) return { error: { name: error.code } };
    return {
      error: {
        name: error.constructor.name,
        status: error.$ResponseMetadata.statusCode,
        message: error.message,
        help: error.help,
        wait: error["X-RateLimit-Reset"] ?? null,
      },
    };
  }
}

for (const each of asked) console.log(JSON.stringify(await answer(...each.split("/"))));
