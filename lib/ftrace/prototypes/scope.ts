/**
 * What texts that are read one after the other know of each other: types, structures, constants,
 * macros.
 *
 * @module
 */
import { knownTypes } from "./basic_types.ts";
import type { CType } from "./ctype.ts";
import type { Macro } from "./macros.ts";
import { predefinedMacros } from "./predefined.ts";
import { Records } from "./records.ts";

/** Names that have been declared, to begin with those that need no declaration. */
export class HeaderScope {
  /** Types by name. */
  readonly types: Map<string, CType> = knownTypes();
  /** Types of what is no type, for typeof. */
  readonly variables: Map<string, CType> = new Map();
  /** Structures, unions and enums by tag, and members of enums. */
  readonly records: Records = new Records();
  /** Macros. */
  readonly macros: Map<string, Macro> = predefinedMacros();
}
