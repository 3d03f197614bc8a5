// OpenID provider on loopback: `oidc-provider`, with keys that a test chooses. It warns that it keeps
// everything in memory, as it should here.

import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";

import { Provider } from "oidc-provider";

/** Resource for which the provider issues tokens, and so their `aud`. */
export const AUDIENCE = "https://gateway.example.com";
/** User that is signed in at each authorization request. */
export const USER = "user-4711";
const ALGORITHMS = ["RS256", "ES256"];
const SCOPE = "versions";
const SECRET = "secret-of-the-clients";
const REDIRECT = "https://app.example.com/signed-in";

/** Returns a new private signing key as a JWK. */
export function signingKey(kid, alg) {
  const [type, options] = alg === "RS256" ? ["rsa", { modulusLength: 2048 }] : ["ec", { namedCurve: "P-256" }];
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: "jwk" }), kid, alg, use: "sig" };
}

/** Id of the client whose tokens are signed with this algorithm. */
export const clientOf = (alg) => `service-${alg}`;

export class IdentityProvider {
  /** Number of times that the key set was requested. */
  fetches = 0;
  issuer = "";
  /** URL of the key set. */
  keys = "";
  #provider;
  #callback;
  #servers = [];

  /** Starts a provider with these keys. It ends with the programs. */
  static async start(programs, keys) {
    const provider = new IdentityProvider();
    programs.onStop(() => provider.stop());
    provider.issuer = await provider.#listen(createServer(), "http");
    provider.keys = `${provider.issuer}/jwks`;
    provider.rotate(keys);
    return provider;
  }

  /** Replaces all keys, as a restart with another key set does. */
  rotate(keys) {
    this.#provider = new Provider(this.issuer, this.#configuration(keys));
    this.#callback = this.#provider.callback();
  }

  /** Listens on a port with TLS, too. Resolves with the URL of the key set there, and the server. */
  async listenTls(options) {
    const server = createTlsServer(options);
    return { url: `${await this.#listen(server, "https")}/jwks`, server };
  }

  /** Closes all listeners and connections. */
  async stop() {
    for (const server of this.#servers.splice(0)) {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    }
  }

  /** Resolves with an access token of a service: the client credentials grant. */
  service(alg, resource = AUDIENCE) {
    return this.#token(alg, { grant_type: "client_credentials", resource, scope: SCOPE });
  }

  /** Resolves with an access token of a signed-in user: the authorization code grant with PKCE. */
  async user(alg) {
    const verifier = randomBytes(32).toString("base64url");
    const parameters = new URLSearchParams({
      client_id: clientOf(alg),
      response_type: "code",
      redirect_uri: REDIRECT,
      scope: `openid ${SCOPE}`,
      resource: AUDIENCE,
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256",
    });
    const cookies = new Map();
    let url = new URL(`/auth?${parameters}`, this.issuer);
    while (!url.href.startsWith(REDIRECT)) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
      const response = await fetch(url, { headers: { cookie }, redirect: "manual" });
      const location = response.headers.get("location");
      if (!location) throw new Error(`${url}: ${response.status} ${await response.text()}`);
      for (const line of response.headers.getSetCookie()) {
        const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
        cookies.set(name, value);
      }
      url = new URL(location, url);
    }
    const code = url.searchParams.get("code");
    if (!code) throw new Error(`no code: ${url}`);
    const grant = { grant_type: "authorization_code", code, code_verifier: verifier, redirect_uri: REDIRECT };
    return this.#token(alg, grant);
  }

  async #listen(server, scheme) {
    server.on("request", (request, response) => {
      if (request.url === "/jwks") this.fetches += 1;
      if (request.url.startsWith("/interaction/")) return this.#signIn(request, response);
      return this.#callback(request, response);
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.#servers.push(server);
    return `${scheme}://127.0.0.1:${server.address().port}`;
  }

  async #token(alg, grant) {
    const credential = Buffer.from(`${clientOf(alg)}:${SECRET}`).toString("base64");
    const response = await fetch(new URL("/token", this.issuer), {
      method: "POST",
      headers: { authorization: `Basic ${credential}` },
      body: new URLSearchParams(grant),
    });
    const { access_token: token, ...rest } = await response.json();
    if (!token) throw new Error(`no token: ${JSON.stringify(rest)}`);
    return token;
  }

  /** Signs the user in and consents, in place of the provider's pages. */
  async #signIn(request, response) {
    const { params } = await this.#provider.interactionDetails(request, response);
    const grant = new this.#provider.Grant({ accountId: USER, clientId: params.client_id });
    grant.addOIDCScope("openid");
    grant.addResourceScope(params.resource, SCOPE);
    const result = { login: { accountId: USER }, consent: { grantId: await grant.save() } };
    await this.#provider.interactionFinished(request, response, result);
  }

  #configuration(keys) {
    return {
      jwks: { keys },
      cookies: { keys: [SECRET] },
      clients: ALGORITHMS.map((alg) => ({
        client_id: clientOf(alg),
        client_secret: SECRET,
        grant_types: ["client_credentials", "authorization_code"],
        redirect_uris: [REDIRECT],
      })),
      findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
      interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
      features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        resourceIndicators: {
          enabled: true,
          useGrantedResource: () => true,
          getResourceServerInfo: (_context, _resource, { clientId }) => ({
            scope: SCOPE,
            accessTokenFormat: "jwt",
            accessTokenTTL: 900,
            jwt: { sign: { alg: ALGORITHMS.find((alg) => clientOf(alg) === clientId) } },
          }),
        },
      },
    };
  }
}
