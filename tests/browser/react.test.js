// Test of the React hook in the examples, in Chromium: a component shows the versions of a file from
// a gateway, changes the file, reloads, and shows an error.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";
import { build } from "esbuild";

import { Programs } from "./programs.js";
import { PACKAGE, inScratch } from "./scratch.js";

const [HARBOUR, PORTRAIT] = ["64a1b2c3d4e5f60718293a4b", "64a1b2c3d4e5f60718293a4c"];

/** Page with two components that show the same file, in React's strict mode, which runs each effect
 * twice. */
const page = (gateway) => `import { StrictMode, createElement as h, useState } from "react";
import { createRoot } from "react-dom/client";
import { Ikgate } from "ikgate";
import { useVersions } from ${JSON.stringify(join(PACKAGE, "examples/useVersions.js"))};

const gateway = new Ikgate({ baseUrl: "${gateway}" });

function Versions({ fileId }) {
  const { versions, error, reload } = useVersions(gateway, fileId);
  const text = error?.code ?? versions?.map((version) => version.versionInfo.name).join(", ") ?? "loading";
  return h("p", { onClick: reload, title: fileId }, text);
}

function Page() {
  const [fileId, setFileId] = useState("${HARBOUR}");
  window.show = setFileId;
  return fileId ? h("main", {}, h(Versions, { fileId }), h(Versions, { fileId })) : "closed";
}

createRoot(document.body).render(h(StrictMode, {}, h(Page)));
`;

const programs = new Programs();
let browser;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
  programs.onStop(() => browser.close());
});

after(() => programs.stop());

/** Bundles the page, in React's development build. */
function bundled(text) {
  return inScratch({ "page.js": text }, async (directory) => {
    const define = { "process.env.NODE_ENV": '"development"' };
    const entryPoints = [join(directory, "page.js")];
    // The hook is outside of the folder, so its imports are looked up in the folder as well.
    const nodePaths = [join(directory, "node_modules")];
    const done = await build({ entryPoints, nodePaths, define, bundle: true, write: false, format: "esm" });
    return done.outputFiles[0].text;
  });
}

test("a component shows the versions of its file, and each response once", async () => {
  const scripts = {};
  const origin = await programs.page(scripts);
  const { url } = await programs.gateway(origin);
  scripts["/page.js"] = await bundled(page(url));

  const window = await (await browser.newContext()).newPage();
  const [wrong, requests] = [[], []];
  window.on("pageerror", (error) => wrong.push(String(error)));
  window.on("console", (line) => line.type() === "error" && wrong.push(line.text()));
  window.on("response", (response) => response.url().startsWith(url) && requests.push(response.status()));
  const shows = (text) => window.waitForFunction(
    (text) => [...document.querySelectorAll("p")].map((p) => p.textContent).join("|") === `${text}|${text}`, text);

  await window.goto(origin);
  await window.addScriptTag({ url: `${origin}/page.js`, type: "module" });
  await shows("Version 3, Version 2, Version 1");
  assert.deepEqual(requests.splice(0), [200], "two components, one request");

  const unchanged = window.waitForResponse((response) => response.status() === 304);
  await window.locator("p").first().click();
  await unchanged;
  await shows("Version 3, Version 2, Version 1");

  await window.evaluate((file) => window.show(file), PORTRAIT);
  await shows("Version 1");
  assert.deepEqual(wrong, []);

  await window.evaluate(() => window.show("no-such-file"));
  await shows("not_found");
  // The browser itself logs a line for any 404.
  assert.match(wrong.splice(0).join(), /^Failed to load resource: .* 404/);

  // A component that goes away aborts its call and is not updated any more.
  await window.route(`**/${HARBOUR}/versions`, () => undefined);
  const isHarbour = (request) => request.url().includes(HARBOUR);
  const [sent, aborted] = [window.waitForRequest(isHarbour), window.waitForEvent("requestfailed", isHarbour)];
  await window.evaluate((file) => window.show(file), HARBOUR);
  await sent;
  await shows("loading");
  await window.evaluate(() => window.show(""));
  await aborted;
  assert.equal(await window.locator("body").innerText(), "closed");
  assert.deepEqual(wrong, []);
});
