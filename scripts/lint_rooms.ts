/**
 * Lint plugin: keeps imports between rooms pointing the one allowed way.
 *
 * A room is a folder under `lib`, or `plugins`. Every folder under `lib` must be on the map below,
 * so that a new one is a decision. Files outside the rooms (`mod.ts`, `trace.ts`, `scripts`,
 * `tests`) may import any.
 *
 * @module
 */

/** The doors beside `mod.ts`: files that say what of a room the outside may have. */
const DOORS = [
  "lib/engine/mod.ts",
  "lib/ftrace/mod.ts",
  "lib/isa/mod.ts",
  "lib/machine/mod.ts",
  "lib/output/mod.ts",
  "lib/output/parse/mod.ts",
  "lib/program/mod.ts",
  "lib/tracefs/mod.ts",
];

/**
 * Files behind doors that a run is made of which traces nothing: a door would load the rest of its
 * room, and a start is to load nothing that it does not use.
 */
const FOR_PLAIN_RUNS = [
  "lib/engine/engines.ts",
  "lib/ftrace/era.ts",
  "lib/ftrace/trace/trace_clock.ts",
  "lib/hart/trap.ts",
  "lib/isa/hex.ts",
  "lib/machine/machine.ts",
  "lib/machine/platforms.ts",
];

/** Each room, or door, and what of ours it may import. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  "lib/isa": [],
  "lib/wasm": [],
  "lib/memory": [],
  "lib/events": [],
  "lib/host": [],
  "lib/program": ["lib/isa"],
  "lib/hart": ["lib/isa", "lib/memory"],
  "lib/engine": ["lib/hart", "lib/isa", "lib/wasm", "lib/memory"],
  "lib/machine": [
    "lib/engine",
    "lib/program",
    "lib/host",
    "lib/hart",
    "lib/isa",
    "lib/wasm",
    "lib/memory",
  ],
  "lib/patcher": ["lib/isa", "lib/memory"],
  "lib/trampoline": ["lib/isa", "lib/memory"],
  "lib/ftrace": [
    "lib/events",
    "lib/patcher",
    "lib/trampoline",
    "lib/machine",
    "lib/program",
    "lib/engine",
    "lib/hart",
    "lib/isa",
    "lib/wasm",
    "lib/memory",
  ],
  "lib/output": ["lib/ftrace", "lib/events"],
  "lib/tracefs": [
    "lib/output",
    "lib/ftrace",
    "lib/events",
    "lib/patcher",
    "lib/machine",
    "lib/hart",
  ],
  "lib/explore": ["lib/patcher", "lib/trampoline", "lib/isa"],
  "lib/cli": ["mod.ts", "lib/host", ...DOORS, ...FOR_PLAIN_RUNS],
  "plugins": ["mod.ts"],
};

/** What the package is called where it is imported by name; `mod.ts` is behind it. */
const PACKAGE = "@hartrace/hartrace";

/** Files outside the rooms that users of the package get. */
const SHIPPED = ["mod.ts", "trace.ts", "tracers.ts"];

/** For tests alone: a user of the package should not load them. */
const ONLY_IN_TESTS = ["@std/assert", "@std/testing"];

const root = new URL("..", import.meta.url);

/** `lib/NAME` or `plugins` for a file in one; any other file is its own place. */
function placeOf(path: string): string {
  return path.match(/^(lib\/[^/]+|plugins)\//)?.[1] ?? path;
}

/** The file of ours that `specifier` names in the file at `path`, if it names one. */
function targetOf(path: string, specifier: string): string | undefined {
  if (specifier === PACKAGE) return "mod.ts";
  if (!specifier.startsWith(".")) return undefined;
  return new URL(specifier, new URL(path, root)).href.slice(root.href.length);
}

/** What is wrong with an import of `specifier` in the file at `path`, if anything is. */
function complaint(path: string, specifier: string): string | undefined {
  const from = placeOf(path);
  if (from === path && !SHIPPED.includes(path)) return undefined;
  const forTests = ONLY_IN_TESTS.find((name) => `${specifier}/`.startsWith(`${name}/`));
  if (forTests) return `${from} must not import ${forTests}, which is for tests`;
  const allowed = ROOMS[from];
  const target = targetOf(path, specifier);
  if (!allowed || target === undefined) return undefined;
  const to = placeOf(target);
  return to === from || allowed.includes(to) || allowed.includes(target)
    ? undefined
    : `${from} must not import ${to}`;
}

const plugin: Deno.lint.Plugin = {
  name: "rooms",
  rules: {
    "one-way": {
      create(context) {
        const path = new URL(`file://${context.filename}`).href.slice(root.href.length);
        const check = (node: Deno.lint.Node, specifier: unknown) => {
          if (typeof specifier !== "string") return;
          const message = complaint(path, specifier);
          if (message) context.report({ node, message });
        };
        return {
          Program(node) {
            const room = placeOf(path);
            if (room.startsWith("lib/") && room !== path && !ROOMS[room]) {
              context.report({ node, message: `${room} is not on the map of the rooms` });
            }
          },
          ImportDeclaration: (node) => check(node, node.source.value),
          ExportAllDeclaration: (node) => check(node, node.source.value),
          ExportNamedDeclaration: (node) => check(node, node.source?.value),
          ImportExpression(node) {
            if (node.source.type === "Literal") check(node, node.source.value);
          },
        };
      },
    },
  },
};
export default plugin;
