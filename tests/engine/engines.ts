/**
 * The engines that are compared: the reference first, which the others must equal.
 *
 * @module
 */
import type { Engine } from "../../lib/engine/engine.ts";
import { createReference } from "../../lib/engine/reference.ts";
import type { EngineMaker } from "./guest.ts";

/** An engine under test. */
export interface Candidate {
  readonly name: Engine["name"];
  readonly make: EngineMaker;
}

/** Loads the engine whose file may not be there. */
async function optional(file: string, factory: string): Promise<EngineMaker | undefined> {
  const url = new URL(`../../lib/engine/${file}`, import.meta.url);
  try {
    await Deno.stat(url);
  } catch {
    return undefined;
  }
  return (await import(url.href))[factory];
}

const interpreter = await optional("interpreter.ts", "createInterpreter");

/** Every engine. */
export const ENGINES: readonly Candidate[] = [
  { name: "ref", make: createReference },
  ...(interpreter ? [{ name: "interp", make: interpreter } as const] : []),
];
