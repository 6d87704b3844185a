/**
 * Which tracers run: the one that `-p` names, and the modules that `--plugin` loads.
 *
 * Tracers come in as an argument (`tracers.ts` lists the built-in ones), so a new one is a file in
 * `plugins` and a line there. `nop` is here, because it is the absence of one.
 *
 * @module
 */
import { checkTracer, resolveOptions } from "../ftrace/mod.ts";
import type { Tracer, TracerOption } from "../../mod.ts";

/** `nop`: traces nothing and prints nothing. */
export const NOP: Tracer = {
  name: "nop",
  description: "nothing: the program runs as if there were no tracer",
  init() {},
};

/** The source of a tracer that need not be loaded. */
export const BUILT_IN = "built in";

/** A tracer that is to run, with its options read. */
export interface LoadedTracer {
  /** The tracer as its module exports it. */
  readonly tracer: Tracer;
  /** The values of the tracer's options that its `init` gets. */
  readonly options: Readonly<Record<string, TracerOption["default"]>>;
  /** Where the tracer came from: {@linkcode BUILT_IN}, or the text behind `--plugin`. */
  readonly source: string;
}

/** The tracers that run in one trace. */
export interface LoadedTracers {
  /** All tracers, in the order in which their `init` runs. */
  readonly all: readonly LoadedTracer[];
  /** The tracer that gives the trace its form and its header. */
  readonly current: Tracer;
  /** The tracers that came from plugins, whether they are the current one or not. */
  readonly plugins: readonly LoadedTracer[];
  /** The options of any tracer there is, as `--set` has them. */
  optionsOf(tracer: Tracer): Readonly<Record<string, TracerOption["default"]>>;
}

/** The tracers and settings that the command line asks for. */
export interface TracerRequest {
  /** Any tracer may be started later, so each may have settings, and none is the default. */
  readonly selectable?: boolean;
  /** Tracers that need not be loaded, without `nop`. */
  readonly builtIn: readonly Tracer[];
  /** The tracer's name (`-p`). */
  readonly name: string | undefined;
  /** Modules to load tracers from (`--plugin`), in order. */
  readonly plugins: readonly string[];
  /** Settings of tracers' options (`--set`), in order. */
  readonly settings: readonly string[];
}

/**
 * Loads plugins, finds the tracer and reads all their options.
 *
 * @throws {RangeError} For an unknown tracer, an option of one that does not run, or a wrong value.
 * @throws {TypeError} If a module is no tracer.
 * @throws {SyntaxError} If a setting cannot be read.
 */
export async function loadTracers(request: TracerRequest): Promise<LoadedTracers> {
  const { builtIn, plugins } = request;
  const loaded: { readonly tracer: Tracer; readonly source: string }[] = [];
  for (const source of plugins) {
    const own = builtIn.find(({ name }) => name === source);
    if (own && !loaded.some(({ tracer }) => tracer === own)) {
      loaded.push({ tracer: own, source: BUILT_IN });
      continue;
    }
    const tracer = own ?? await importTracer(source);
    const known = [NOP, ...builtIn, ...loaded.map((each) => each.tracer)];
    if (known.some(({ name }) => name === tracer.name)) {
      throw new RangeError(
        `Cannot load ${source}: there is already a tracer named ${tracer.name}; ` +
          (own ? "name it once" : "rename one"),
      );
    }
    loaded.push({ tracer, source });
  }
  const everything = [...new Set([...builtIn, NOP, ...loaded.map((each) => each.tracer)])];
  const none = plugins.length > 0 || request.selectable;
  const name = request.name ?? (none ? NOP.name : "function_graph");
  const current = everything.find((tracer) => tracer.name === name);
  if (!current) {
    const names = everything.map((tracer) => tracer.name).join(", ");
    throw new RangeError(
      `Cannot trace with "${name}": there is no such tracer; there are ${names}` +
        (name.endsWith(".ts") ? `; a file is loaded with --plugin ${name}` : ""),
    );
  }
  const running = [...loaded];
  if (!loaded.some(({ tracer }) => tracer === current)) {
    running.unshift({ tracer: current, source: BUILT_IN });
  }
  const able = request.selectable ? everything : running.map(({ tracer }) => tracer);
  const settings = readSettings(request.settings, able, everything);
  const optionsOf = (tracer: Tracer) => resolveOptions(tracer, settings.get(tracer.name) ?? {});
  for (const tracer of able) optionsOf(tracer);
  const complete = (each: typeof running[number]) => ({ ...each, options: optionsOf(each.tracer) });
  return { current, all: running.map(complete), plugins: loaded.map(complete), optionsOf };
}

/** Sorts `NAME.key=value` texts by tracer. */
function readSettings(
  texts: readonly string[],
  running: readonly Tracer[],
  everything: readonly Tracer[],
): ReadonlyMap<string, Readonly<Record<string, string>>> {
  const settings = new Map<string, Record<string, string>>();
  for (const text of texts) {
    const [, name, key, value] = /^([^.=]+)\.([^=]+)=([^]*)$/.exec(text) ?? [];
    if (name === undefined || key === undefined || value === undefined) {
      throw new SyntaxError(`Cannot read --set "${text}": write --set NAME.key=value`);
    }
    if (!running.some((tracer) => tracer.name === name)) {
      const exists = everything.some((tracer) => tracer.name === name);
      throw new RangeError(
        exists
          ? `Cannot set ${name}.${key}: ${name} does not run here; add -p ${name}, or ` +
            `--plugin ${name} beside another`
          : `Cannot set ${name}.${key}: there is no tracer ${name}; there are ${
            everything.map((tracer) => tracer.name).join(", ")
          }`,
      );
    }
    settings.set(name, { ...settings.get(name), [key]: value });
  }
  return settings;
}

/** Loads the module that a path or URL names. @throws {TypeError} If it does not load or fit. */
export async function importTracer(source: string): Promise<Tracer> {
  // One letter before a colon is a drive, not a scheme.
  const url = /^[a-z][a-z0-9+.-]+:/i.test(source) ? source : await urlOfPath(source);
  let module: { readonly default?: unknown };
  try {
    module = await import(url);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TypeError(
      `Cannot load the plugin ${source}: ${reason.split("\n")[0]}; try deno check ${source}`,
    );
  }
  return checkTracer(module.default, source);
}

async function urlOfPath(path: string): Promise<string> {
  const [{ resolve }, { pathToFileURL }] = await Promise.all([
    import("node:path"),
    import("node:url"),
  ]);
  return pathToFileURL(resolve(path)).href;
}

/** Every tracer there is: built in, and loaded by `--plugin`. */
export async function allTracers(
  builtIn: readonly Tracer[],
  plugins: readonly string[],
): Promise<readonly { readonly tracer: Tracer; readonly source: string }[]> {
  const tracers = [...builtIn, NOP].map((tracer) => ({ tracer, source: BUILT_IN }));
  for (const source of plugins) {
    if (tracers.some(({ tracer }) => tracer.name === source)) continue;
    tracers.push({ tracer: await importTracer(source), source });
  }
  return tracers;
}
