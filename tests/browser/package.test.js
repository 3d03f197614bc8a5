// Tests of the client for pages as a package: its types, its files, and what a bundler makes of it.

import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { build } from "esbuild";

import { PACKAGE, inScratch, run, typesHold } from "./scratch.js";

/** Module that uses every part of the client, and some mistakes that the types must show. */
const CALLER = `import { Ikgate, IkgateError } from "ikgate";
import type { Answer, IkgateErrorCode, Version } from "ikgate";

const gateway = new Ikgate({ baseUrl: "https://gateway.example.com", token: async () => "token", timeoutMs: 1000 });

export async function name(signal?: AbortSignal): Promise<string | undefined> {
  try {
    const { data, rateLimit }: Answer<Version[]> = await gateway.versions("a", { signal, timeoutMs: 1 });
    const left: number | undefined = rateLimit?.left;
    const [first] = data;
    // @ts-expect-error: a name is a string
    const wrong: number = first?.versionInfo.name;
    // @ts-expect-error: there are two types
    const type: "folder" | undefined = first?.type;
    const tag: string | undefined = first?.AITags?.[0]?.name;
    const unknownField: unknown = first?.addedByImageKitLater;
    return left === 0 ? tag : (await gateway.version("a", "b")).data.description;
  } catch (error) {
    if (!(error instanceof IkgateError)) throw error;
    return wait(error.code) ? String(error.retryAfterMs) : error.help;
  }
}

function wait(code: IkgateErrorCode): boolean {
  switch (code) {
    case "throttled": case "upstream_busy": case "shutting_down": return true;
    // @ts-expect-error: there is no such code
    case "throtled": return true;
    default: return false;
  }
}

// @ts-expect-error: the base URL is missing
new Ikgate({});
// @ts-expect-error: the option is baseUrl
new Ikgate({ baseURL: "https://gateway.example.com" });
new Ikgate({ baseUrl: "https://gateway.example.com", token: () => null });
// @ts-expect-error: an anonymous call is null, so that a forgotten return is shown
new Ikgate({ baseUrl: "https://gateway.example.com", token: () => undefined });
// @ts-expect-error: a call has no such option
export const typo = () => gateway.versions("a", { timeout: 1 });
// @ts-expect-error: the controller is not its signal
export const controller = () => gateway.versions("a", { signal: new AbortController() });
// @ts-expect-error: a second is no time limit
new Ikgate({ baseUrl: "", timeoutMs: "1s" });
`;

test("its types hold for a strict caller, with and without allowJs, and show mistakes", async () => {
  await inScratch({ "caller.ts": CALLER }, async (directory) => {
    await typesHold(directory, "--noEmit", "caller.ts");
    await typesHold(directory, "--noEmit", "--allowJs", "--checkJs", "caller.ts");
    // Node's own resolution, which a back end uses.
    writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
    await typesHold(directory, "--noEmit", "--module", "nodenext", "--moduleResolution", "nodenext", "caller.ts");
  });
});

test("its types hold for a copy of two files in a project that checks its JavaScript", async () => {
  const copied = ["ikgate.js", "ikgate.d.ts"].map((name) => [name, readFileSync(join(PACKAGE, name))]);
  const caller = CALLER.replaceAll('"ikgate"', '"./ikgate.js"');
  await inScratch({ ...Object.fromEntries(copied), "caller.ts": caller }, (directory) =>
    typesHold(directory, "--noEmit", "--allowJs", "--checkJs", "caller.ts"));
});

test("the written types are those of the code", async () => {
  const compared = `import * as made from "./made/ikgate.js";
import type * as written from "ikgate";
export const client: typeof written.Ikgate = made.Ikgate;
export const error: typeof written.IkgateError = made.IkgateError;
export const names: Record<keyof typeof written, unknown> = made;
export const noMore: Record<keyof typeof made, unknown> = {} as typeof written;
`;
  await inScratch({ "compared.ts": compared }, async (directory) => {
    const emit = ["--declaration", "--emitDeclarationOnly", "--outDir", "made"];
    const options = ["--allowJs", "--checkJs", "--allowImportingTsExtensions", "--rootDir", PACKAGE];
    await typesHold(directory, ...emit, ...options, join(PACKAGE, "ikgate.js"));
    writeFileSync(join(directory, "made/ikgate.js"), "");
    const types = readFileSync(join(PACKAGE, "ikgate.d.ts"));
    writeFileSync(join(directory, "written.d.ts"), types);
    const made = readFileSync(join(directory, "made/ikgate.d.ts"), "utf8");
    writeFileSync(join(directory, "made/ikgate.d.ts"), made.replaceAll("./ikgate.d.ts", "../written.d.ts"));
    await typesHold(directory, "--noEmit", "--skipLibCheck", "--allowImportingTsExtensions", "compared.ts");
  });
});

test("the codes of its errors are those of the code, of README.md and its own", () => {
  const inQuotes = (text) => [...text.matchAll(/"(\w+)"/g)].map(([, code]) => code);
  const inTable = (page) => [...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code);
  const read = (name) => readFileSync(join(PACKAGE, name), "utf8");
  const types = ["Gateway", "Ikgate"].map((name) => new RegExp(`type ${name}ErrorCode =([^;]*);`));
  const typed = types.flatMap((type) => inQuotes(read("ikgate.d.ts").match(type)[1]));
  const errors = read("../../../README.md").split("## Errors")[1].split("\n## ")[0];
  // The table has two codes that only the admin listener and the webhook use.
  const documented = new Set([...inTable(errors), ...inTable(read("README.md").split("| code |")[1])]);
  for (const code of ["misdirected", "purge_partial"]) documented.delete(code);
  assert.deepEqual([...documented].sort(), [...typed].sort());
});

test("the options of its page are those of the code", () => {
  const read = (name) => readFileSync(join(PACKAGE, name), "utf8");
  const documented = [...read("README.md").split("| code |")[0].matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
  const inCode = read("ikgate.js").match(/const OPTIONS = (\[[^\]]*\])/)[1];
  assert.deepEqual(documented, JSON.parse(inCode));
});

test("it is installed from its folder, and from the archive that npm would publish", async () => {
  const use = 'import { Ikgate } from "ikgate";\nconsole.log(typeof new Ikgate({ baseUrl: "http://a" }).versions);\n';
  await inScratch({ "package.json": '{ "private": true, "type": "module" }', "use.js": use }, async (directory) => {
    const install = (source) => run(directory, "npm", "install", "--offline", "--no-audit", "--no-fund", source);
    await install(PACKAGE);
    assert.equal(await run(directory, process.execPath, "use.js"), "function\n");
    const [packed] = JSON.parse(await run(directory, "npm", "pack", "--json", PACKAGE));
    const files = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "examples/useVersions.js", "ikgate.d.ts", "ikgate.js"];
    assert.deepEqual(packed.files.map(({ path }) => path).sort(), [...files, "package.json"].sort());
    await run(directory, "npm", "uninstall", "--no-audit", "--no-fund", "ikgate");
    await install(join(directory, packed.filename));
    assert.ok(readdirSync(join(directory, "node_modules/ikgate")).includes("ikgate.js"));
    assert.equal(await run(directory, process.execPath, "use.js"), "function\n");
  });
});

test("its licences are those of the program", () => {
  for (const name of ["LICENSE-APACHE", "LICENSE-MIT"]) {
    assert.deepEqual(readFileSync(join(PACKAGE, name)), readFileSync(join(PACKAGE, "../../..", name)));
  }
});

test("a bundler leaves out what a page does not use", async () => {
  const bundled = async (text) => {
    const options = { bundle: true, write: false, format: "esm", minify: true };
    const stdin = { contents: text, resolveDir: PACKAGE };
    const done = await build({ ...options, stdin });
    return done.outputFiles[0].text.trim();
  };
  assert.equal(await bundled('import { Ikgate, IkgateError } from "./ikgate.js";'), "");
  const errorAlone = await bundled('export { IkgateError } from "./ikgate.js";');
  assert.ok(!errorAlone.includes("fetch"), errorAlone);
  // The size is what a page loads before compression.
  const all = await bundled('export * from "./ikgate.js";');
  assert.ok(all.length < 7500, `${all.length} bytes`);
});
