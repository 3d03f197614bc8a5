// Scratch folders of the tests of the package, and programs that run in them.

import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const PACKAGE = fileURLToPath(new URL("../../src/demo/helper", import.meta.url));
const MODULES = fileURLToPath(new URL("node_modules", import.meta.url));
const TSC = join(MODULES, "typescript/bin/tsc");

/** Runs a program and resolves with its output; rejects with all of it. */
export async function run(directory, program, ...args) {
  try {
    return (await promisify(execFile)(program, args, { cwd: directory })).stdout;
  } catch (error) {
    throw new Error(`${program} ${args.join(" ")}\n${error.stdout}${error.stderr}`);
  }
}

/** Compiles without output, in a folder whose imports are resolved as bundlers do. */
export function typesHold(directory, ...options) {
  const modules = ["--target", "esnext", "--module", "esnext", "--moduleResolution", "bundler"];
  const strict = ["--strict", "--exactOptionalPropertyTypes", "--lib", "esnext,dom,dom.iterable", "--types", "*"];
  return run(directory, process.execPath, TSC, ...strict, ...modules, ...options);
}

/** Calls `check` with a new folder that holds these files, and in which `ikgate`, `react` and
 * `react-dom` can be imported. The folder is removed afterwards. */
export async function inScratch(files, check) {
  const directory = mkdtempSync(join(tmpdir(), "ikgate-package-"));
  try {
    const modules = join(directory, "node_modules");
    mkdirSync(modules);
    for (const name of ["react", "react-dom", "scheduler"]) symlinkSync(join(MODULES, name), join(modules, name));
    symlinkSync(PACKAGE, join(modules, "ikgate"));
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
    return await check(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
