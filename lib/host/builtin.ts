/**
 * The host's own modules, where it has some: Node's, which Deno and Bun have, too.
 *
 * They are asked for by name when they are needed and never imported, so that a page in a browser
 * loads the library like any other.
 *
 * @module
 */

/** A host that gives its built-in modules by name. */
interface ModuleHost {
  readonly process?: { getBuiltinModule?(name: string): unknown };
}

/** The host's module of that name, or undefined in a browser. Its type is the caller's to know. */
export function builtinModule<Module>(name: string): Module | undefined {
  const { process } = globalThis as ModuleHost;
  return process?.getBuiltinModule?.(name) as Module | undefined;
}
