import type { Surroundings, SurroundingsContext } from "./machine.ts";
export function createLinux(_context: SurroundingsContext): Surroundings {
  throw new Error("not yet");
}
