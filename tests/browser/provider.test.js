// Tests of `jwt.jwks_url` against a real OpenID provider: tokens of its grants, rotation of its keys,
// outage, and TLS.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { FILE } from "./places.js";
import { Programs } from "./programs.js";
import { AUDIENCE, IdentityProvider, USER, clientOf, signingKey } from "./provider.js";
import { inScratch, run } from "./scratch.js";

const programs = new Programs();
after(() => programs.stop());

/** Time limit of polling. The gateway fetches the keys again 10 s after the last time at the soonest. */
const PATIENCE = 30_000;
const MANY = "{ per_second = 1000000, burst = 1000000 }";

/** Starts a gateway that takes the tokens of a provider. */
function gatewayOf(provider, { keys = provider.keys, environment } = {}) {
  const jwt = `jwks_url = "${keys}"\nissuer = "${provider.issuer}"\naudience = "${AUDIENCE}"\nquota = ${MANY}`;
  const more = `[limits]\nauth_failures = ${MANY}`;
  return programs.gateway("https://app.example.com", undefined, undefined, { jwt, more, environment });
}

/** Resolves with the status and, of an error, the message. */
async function answer(gateway, token) {
  const url = `${gateway.url}/v1/files/${FILE}/versions`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  return [response.status, (await response.json()).message];
}

/** Polls until the token is accepted. */
async function accepted(gateway, token) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const [status, message] = await answer(gateway, token);
    if (status === 200) return;
    assert.ok(Date.now() < deadline, `still ${status}: ${message}`);
    await pause(50);
  }
}

function decoded(token) {
  const [header, claims] = token.split(".").slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url")));
  return { ...header, ...claims };
}

const UNKNOWN_KID = [401, "Your token's 'kid' is missing, or names no key that is accepted here."];
const NO_KEYS = [401, "Your token cannot be verified yet: this gateway has no keys of the identity provider."];

test("tokens of services and users are accepted, signed with RS256 or ES256", async () => {
  const provider = await IdentityProvider.start(programs, [signingKey("r", "RS256"), signingKey("e", "ES256")]);
  const gateway = await gatewayOf(provider);
  for (const [alg, kid] of [["RS256", "r"], ["ES256", "e"]]) {
    for (const [token, sub] of [
      [await provider.service(alg), clientOf(alg)],
      [await provider.user(alg), USER],
    ]) {
      const { iat, exp, ...claims } = decoded(token);
      const expected = { alg, kid, sub, iss: provider.issuer, aud: AUDIENCE, typ: "at+jwt" };
      assert.deepEqual({ ...claims, ...expected }, claims);
      assert.equal(exp - iat, 900);
      await accepted(gateway, token);
    }
  }
  assert.equal(await gateway.metric("ikgate_requests_total", 'caller="jwt",status="200"'), 4);
});

test("a token for another audience is refused, and the message names aud", async () => {
  const provider = await IdentityProvider.start(programs, [signingKey("e", "ES256"), signingKey("r", "RS256")]);
  const gateway = await gatewayOf(provider);
  await accepted(gateway, await provider.service("ES256"));
  const other = await provider.service("ES256", "https://other.example.com");
  assert.deepEqual(await answer(gateway, other), [401, "Your token's 'aud' is not accepted here."]);
});

// The gateway has its own clock here, so this test takes the 10 s between two fetches.
test("a rotated key is accepted after one fetch, a withdrawn one is refused, and an outage changes neither", async () => {
  const kept = signingKey("kept", "ES256");
  const provider = await IdentityProvider.start(programs, [signingKey("old", "RS256"), kept]);
  const gateway = await gatewayOf(provider);
  const old = await provider.service("RS256");
  await accepted(gateway, old);
  const unseen = await provider.service("RS256");
  provider.rotate([signingKey("new", "RS256"), kept]);
  const rotated = await provider.service("RS256");
  assert.equal(decoded(rotated).kid, "new");
  assert.deepEqual(await answer(gateway, rotated), UNKNOWN_KID);
  assert.equal((await answer(gateway, old))[0], 200, "until the next fetch the old key counts");
  await accepted(gateway, rotated);
  assert.equal(provider.fetches, 2);
  const later = [await provider.service("RS256"), await provider.service("ES256")];
  await provider.stop();
  for (const token of [rotated, ...later]) assert.equal((await answer(gateway, token))[0], 200);
  for (const token of [old, unseen]) assert.deepEqual(await answer(gateway, token), UNKNOWN_KID);
});

/** Calls `check` with a CA of its own and a certificate for 127.0.0.1. */
const withCertificate = (check) =>
  inScratch({}, async (directory) => {
    const openssl = (command) => run(directory, "openssl", ...command.split(" "));
    const key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    await openssl(`${key} -subj /CN=ca -keyout ca.key -out ca.pem`);
    const leaf = "-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
    await openssl(`${key} -subj /CN=provider -keyout key.pem -out cert.pem -CA ca.pem -CAkey ca.key ${leaf}`);
    const [own, cert] = ["key.pem", "cert.pem"].map((name) => readFileSync(join(directory, name)));
    await check({ key: own, cert }, join(directory, "ca.pem"));
  });

test("over TLS, keys are taken only from a provider whose CA is trusted", () =>
  withCertificate(async (certificate, roots) => {
    const provider = await IdentityProvider.start(programs, [signingKey("e", "ES256"), signingKey("r", "RS256")]);
    const { url: keys, server } = await provider.listenTls(certificate);
    const token = await provider.service("ES256");
    const refused = once(server, "tlsClientError", { signal: AbortSignal.timeout(PATIENCE) });
    const distrusting = await gatewayOf(provider, { keys });
    assert.match((await refused)[0].code, /UNKNOWN_CA/);
    assert.deepEqual(await answer(distrusting, token), NO_KEYS);
    const trusting = await gatewayOf(provider, { keys, environment: { SSL_CERT_FILE: roots } });
    await accepted(trusting, token);
    assert.equal(provider.fetches, 1);
  }));
