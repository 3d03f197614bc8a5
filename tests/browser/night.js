// A bad night: a gateway of a fleet with TLS, and everything around it that a test breaks.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { IKGATE } from "./programs.js";

/** Time in which a state must be reached. */
const PATIENCE = 60_000;
const FLOODER = { name: "batch-job", key: `ikg_${"f".repeat(43)}` };

/** Upstream that answers, refuses one key, or closes every connection. */
class Upstream {
  isDown = false;
  refused = "";

  listener = (incoming, answer) => {
    if (this.isDown) return incoming.socket.destroy();
    const key = Buffer.from((incoming.headers.authorization ?? "").replace("Basic ", ""), "base64").toString();
    answer.setHeader("Content-Type", "application/json");
    if (key === `${this.refused}:`) answer.statusCode = 401;
    answer.end(answer.statusCode === 401 ? '{"message":"no","help":"no"}' : "[]");
  };
}

export class Night {
  upstream = new Upstream();
  /** Lines of the gateway's log, parsed. */
  log = [];
  #misses = 0;

  static async start(programs) {
    const night = new Night();
    night.directory = mkdtempSync(join(tmpdir(), "ikgate-"));
    programs.onStop(() => rmSync(night.directory, { recursive: true }));
    night.redis = await programs.redis();
    const upstream = await programs.serve(night.upstream.listener);
    night.writeKey("private_first=");
    night.writeCertificate(90);
    const digest = createHash("sha256").update(FLOODER.key).digest("hex");
    const config = night.#write("ikgate.toml", `
[server]
listen = ["127.0.0.1:0"]
tls = { certificate = "cert.pem", key = "key.pem" }
[admin]
listen = "127.0.0.1:0"
[upstream]
url = "${upstream}"
private_key_file = "imagekit.key"
budget = { per_second = 1000, burst = 1000 }
retries = { max = 0, budget_percent = 20 }
breaker = { failures = 5, open_for = "3s" }
[cache]
ttl = "1s"
ttl_jitter_percent = 0
stale_while_revalidate = "0s"
[limits]
anonymous = { per_second = 1000, burst = 1000 }
[cluster]
redis_url = "${night.redis.url}"
[[callers]]
name = "${FLOODER.name}"
key_sha256 = "${digest}"
quota = { per_second = 1, burst = 5 }
`);
    const { public: listener, admin, stop } = await programs.start(["serve", "--config", config], {}, "stderr", (line) => {
      const event = JSON.parse(line);
      night.log.push(event);
      return event.message === "ready" ? { public: event.public, admin: `http://${event.admin}` } : undefined;
    });
    Object.assign(night, { url: `https://${listener.replace(/[[\]]/g, "")}`, admin, stop });
    night.agent = new Agent({ rejectUnauthorized: false, keepAlive: true });
    programs.onStop(() => night.agent.destroy());
    return night;
  }

  /** Writes a file as a whole, so that the gateway never reads half of it. */
  #write(name, content) {
    const path = join(this.directory, name);
    writeFileSync(`${path}.new`, content);
    renameSync(`${path}.new`, path);
    return path;
  }

  writeKey(key) {
    this.#write("imagekit.key", key);
  }

  removeKey() {
    rmSync(join(this.directory, "imagekit.key"));
  }

  writeCertificate(days) {
    const [key, certificate] = ["key.made", "cert.made"].map((name) => join(this.directory, name));
    execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
      "-days", String(days), "-subj", "/CN=localhost", "-keyout", key, "-out", certificate], { stdio: "ignore" });
    renameSync(key, join(this.directory, "key.pem"));
    renameSync(certificate, join(this.directory, "cert.pem"));
  }

  /** Requests the list of a file, and resolves with the status. */
  get(file, headers = {}) {
    return new Promise((resolve, reject) => {
      const sent = request(`${this.url}/v1/files/${file}/versions`, { agent: this.agent, headers }, (answer) => {
        answer.resume();
        answer.on("end", () => resolve(answer.statusCode));
      });
      sent.on("error", reject);
      sent.end();
    });
  }

  /** Waits for the next point of the history. The numbers of the minute before are in the last one. */
  async settle() {
    const { points } = await this.stats();
    await this.until((stats) => stats.points.at(-1).at > points.at(-1).at);
  }

  /** Runs `ikgate status`, and returns its exit code and its output. */
  status() {
    const done = spawnSync(IKGATE, ["status", "--admin", this.admin], { encoding: "utf8" });
    return { status: done.status, output: done.stdout + done.stderr };
  }

  /** Requests lists that are not stored, until the state of the gateway is as `holds` says. */
  async requestUntil(holds) {
    return this.until(holds, () => this.miss());
  }

  /** Requests the list of a file that no caller has requested before. */
  miss() {
    this.#misses += 1;
    return this.get(`miss-${this.#misses}`);
  }

  /** Requests lists that are not stored, as callers do all through an outage. */
  async misses() {
    for (let turn = 0; turn < 300; turn += 1) await this.miss();
  }

  /** Sends more than the quota of one caller. */
  async flood() {
    const headers = { Authorization: `Bearer ${FLOODER.key}` };
    for (let turn = 0; turn < 150; turn += 1) await this.get("a", headers);
  }

  async stats() {
    return (await fetch(`${this.admin}/api/stats`)).json();
  }

  async metrics() {
    return (await fetch(`${this.admin}/metrics`)).text();
  }

  /** Resolves with the first answer of `/api/stats` for which `holds` is true. Before each request,
   * `step` is done. */
  async until(holds, step = () => new Promise((resolve) => setTimeout(resolve, 50))) {
    const end = Date.now() + PATIENCE;
    for (;;) {
      await step();
      const stats = await this.stats();
      if (holds(stats)) return stats;
      if (Date.now() > end) throw new Error(`not reached: ${holds}: ${JSON.stringify([stats.problems, stats.health])}`);
    }
  }

  /** Resolves once a line of the log since `from` matches. */
  async logged(from, pattern) {
    const end = Date.now() + PATIENCE;
    while (!this.log.slice(from).some((line) => pattern.test(JSON.stringify(line)))) {
      if (Date.now() > end) throw new Error(`not logged: ${pattern}: ${JSON.stringify(this.log.slice(from).slice(-20))}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
