// Runner of the programs under test, started as users start them, on ports that the kernel picks.

import { execFileSync, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Path of the program under test. */
export const IKGATE = process.env.IKGATE ?? join(ROOT, "target/release/ikgate");

/** Section `[jwt]` for tokens that the gateway object signs. */
const JWT = `key_file = "jwt.pub"
issuer = "https://app.example.com"
quota = { per_second = 1, burst = 4 }`;

/** Started programs and servers, in order; the last one is stopped first. */
export class Programs {
  #stops = [];

  onStop(stop) {
    this.#stops.push(stop);
  }

  async stop() {
    for (const stop of this.#stops.reverse()) await stop();
  }

  /** Runs `ikgate` and resolves with what `find` makes of the first line that it recognises. An
   * object gets the function `stop`, which ends the program early. */
  async start(args, environment, stream, find) {
    const child = spawn(IKGATE, args, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
    // A program that does not exist has an error and no exit.
    const ended = new Promise((resolve) => child.once("exit", resolve).once("error", resolve));
    const stop = async () => {
      child.kill("SIGTERM");
      await ended;
    };
    this.onStop(stop);
    const lines = createInterface({ input: child[stream] });
    child[stream === "stdout" ? "stderr" : "stdout"].resume();
    return new Promise((resolve, reject) => {
      ended.then((code) => reject(new Error(`ikgate ${args[0]} ended with ${code}`)));
      lines.on("line", (line) => {
        const found = find(line);
        if (found) resolve(typeof found === "object" ? { ...found, stop } : found);
      });
    });
  }

  /** Starts a web server and resolves with its origin. */
  async serve(listener) {
    const server = createServer(listener);
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.onStop(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    return `http://127.0.0.1:${server.address().port}`;
  }

  /** Serves scripts by their paths, and an empty page at every other. */
  page(scripts = {}) {
    return this.serve((request, answer) => {
      const script = scripts[request.url];
      answer.setHeader("Content-Type", script ? "text/javascript" : "text/html");
      answer.end(script ?? "<!doctype html><title>a page</title>");
    });
  }

  /** Starts the demo and resolves with the URL of its page. */
  demo() {
    const anyPort = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--page", "127.0.0.1:0"];
    return this.start(["demo", ...anyPort], {}, "stdout", (line) => line.match(/^Page:\s+(http:\S+)/)?.[1]);
  }

  /** Starts a Redis for a fleet. Resolves with its URL and a function that stops it early. */
  async redis() {
    const port = await new Promise((resolve) => {
      const probe = createServer().listen(0, "127.0.0.1", () => {
        const { port } = probe.address();
        probe.close(() => resolve(port));
      });
    });
    const options = ["--port", String(port), "--bind", "127.0.0.1", "--save", ""];
    const child = spawn("redis-server", options, { cwd: tmpdir(), stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const stop = async () => {
      child.kill("SIGTERM");
      await ended;
    };
    this.onStop(stop);
    return { url: `redis://127.0.0.1:${port}`, stop };
  }

  /** Starts a sandbox and a gateway in front of it, for tokens and pages of `origin`. With `redis`,
   * the gateway belongs to a fleet. `upstream` is another upstream than a sandbox, `upstreamKey` the
   * key for it, `jwt` another `[jwt]` section, `more` more lines of the configuration. */
  async gateway(origin, adminToken, redis, options = {}) {
    const { upstream, upstreamKey = "private_sandbox=", jwt = JWT, more = "", environment = {} } = options;
    const sandbox = upstream ?? await this.start(["sandbox", "--listen", "127.0.0.1:0"], {}, "stdout", (line) =>
      line.match(/http:\/\/\S+/)?.[0],
    );
    const directory = mkdtempSync(join(tmpdir(), "ikgate-"));
    this.onStop(() => rmSync(directory, { recursive: true }));
    const { publicKey, privateKey } = generateKeyPairSync("ed25519", {
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
    });
    const file = (name, content) => {
      const path = join(directory, name);
      writeFileSync(path, content);
      return path;
    };
    file("jwt.pub", publicKey);
    const key = file("jwt.pem", privateKey);
    if (adminToken) file("admin.token", adminToken);
    const config = file(
      "ikgate.toml",
      `[server]
listen = ["127.0.0.1:0"]
[admin]
listen = "127.0.0.1:0"
${adminToken ? 'token_file = "admin.token"' : ""}
[upstream]
url = "${sandbox}"
[cors]
allowed_origins = ["${origin}"]
[jwt]
${jwt}
${redis ? `[cluster]\nredis_url = "${redis}"` : ""}
${more}
`,
    );
    const { url, admin, stop } = await this.start(
      ["serve", "--config", config],
      { IMAGEKIT_PRIVATE_KEY: upstreamKey, ...environment },
      "stderr",
      (line) => {
        const event = JSON.parse(line);
        if (event.message !== "ready") return undefined;
        return { url: `http://${event.public.replace(/[[\]]/g, "")}`, admin: `http://${event.admin}` };
      },
    );
    return {
      url,
      admin,
      stop,
      /** Returns a token for one subject, as `ikgate token` signs it. */
      token: (sub, ...more) => {
        const args = ["token", "--config", config, "--key", key, "--sub", sub, ...more];
        return execFileSync(IKGATE, args, { encoding: "utf8" }).trim();
      },
      /** Returns the sum of all series of a metric whose labels contain this text. */
      metric: async (name, label) => {
        const text = await (await fetch(`${admin}/metrics`)).text();
        const lines = text.split("\n").filter((line) => line.startsWith(name) && line.includes(label));
        return lines.reduce((sum, line) => sum + Number(line.split(" ").pop()), 0);
      },
    };
  }
}
