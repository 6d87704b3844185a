/**
 * What a start loads before it knows what it is to do.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";

interface Module {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly code?: { readonly specifier?: string };
    readonly isDynamic?: boolean;
  }[];
}

/** Modules that `trace.ts` imports by way of whatever it imports, without `import()` and types. */
async function loadedAtStart(): Promise<readonly string[]> {
  const root = new URL("../../trace.ts", import.meta.url).href;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", root],
    stderr: "null",
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: Module[] };
  const byName = new Map(modules.map((module) => [module.specifier, module]));
  const loaded = new Set([root]);
  for (const name of loaded) {
    for (const { code, isDynamic } of byName.get(name)?.dependencies ?? []) {
      if (code?.specifier !== undefined && !isDynamic) loaded.add(code.specifier);
    }
  }
  return [...loaded].map((name) => name.replace(new URL(".", root).href, ""));
}

Deno.test("trace.ts loads neither node's modules nor other commands when it starts", async () => {
  const loaded = await loadedAtStart();
  assert(loaded.includes("lib/cli/run.ts"));
  const late = /^node:|^lib\/tracefs\/|^lib\/cli\/(shell|list|fail|help|terminal|stats|campaign)\b/;
  assertEquals(loaded.filter((name) => late.test(name)), []);
});

Deno.test("trace.ts loads neither tracing nor compiling when it starts", async () => {
  const loaded = await loadedAtStart();
  const late = new RegExp(
    "^mod.ts$|^plugins/|^lib/(events|output|trampoline)/|^lib/engine/plan/(?!plan|relaxed_madd)|" +
      "^lib/engine/jit/(?!late_jit|starts)|^lib/ftrace/(?!era.ts$|trace/(trace_|release_forms))",
  );
  assertEquals(loaded.filter((name) => late.test(name)), []);
});
