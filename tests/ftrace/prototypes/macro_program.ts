/**
 * Random macros and uses of them, from a seed, and the words that come of a text.
 *
 * @module
 */
import { readSource } from "../../../lib/ftrace/prototypes/directives.ts";
import { wordsOf } from "../../../lib/ftrace/prototypes/macros.ts";
import { predefinedMacros } from "../../../lib/ftrace/prototypes/predefined.ts";

/** Words of C text as they stand there. */
export function wordsIn(text: string): readonly string[] {
  return wordsOf(text).texts;
}

/** Words of C text with macros replaced. */
export function readWords(text: string): readonly string[] {
  return readSource(text, "macros.h", predefinedMacros()).tokens.texts;
}

/** Macros that use each other, and three uses; gcc refuses about every second program. */
export function createMacroProgram(seed: number): string {
  return new Maker(seed).program();
}

const NAMES = [..."fghkop"];
const OTHERS = ["1", "a", "b c", "+", '"s"', "'c'", "- x", "."];

class Maker {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 2654435761) | 1;
  }

  #below(most: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % most;
  }

  #pick(from: readonly string[]): string {
    return from[this.#below(from.length)]!;
  }

  program(): string {
    const uses = Array.from(
      { length: 3 },
      () => this.#use(0) + this.#pick(["", "(1)", " (a,b)", "\n(2)(3)"]),
    );
    return `${NAMES.map((name) => this.#define(name)).join("\n")}\n@ ${uses.join(" ")} ;\n`;
  }

  #define(name: string): string {
    const isCall = this.#below(3) > 0;
    const parameters = isCall ? ["x", "y", "z"].slice(0, this.#below(4)) : [];
    const rest = isCall && this.#below(3) === 0 ? this.#pick(["__VA_ARGS__", "r"]) : undefined;
    const all = [...parameters, ...rest ? [rest] : []];
    const heads = [...parameters, ...rest ? [rest === "r" ? "r..." : "..."] : []];
    const body = Array.from({ length: this.#below(8) }, () => this.#part(all, rest));
    const text = body.join(this.#pick([" ", " ", ""]))
      .replace(/^(\s*##)+/, "").replace(/(##\s*)+$/, "");
    return `#define ${name}${isCall ? `(${heads.join(", ")})` : ""} ${text}`;
  }

  #part(parameters: readonly string[], rest: string | undefined): string {
    const kind = this.#below(14);
    if (kind < 4 && parameters.length > 0) return this.#pick(parameters);
    if (kind < 7) return this.#pick(NAMES);
    if (kind < 10) return "(),"[kind - 7]!;
    if (kind === 10 && parameters.length > 0) return `#${this.#pick(parameters)}`;
    if (kind === 11) return "##";
    if (kind === 12 && rest) return `, ## ${rest}`;
    if (kind === 13 && rest === "__VA_ARGS__") {
      return `__VA_OPT__(${this.#pick(parameters)} , ${this.#pick(NAMES)})`;
    }
    return this.#pick(OTHERS);
  }

  #use(depth: number): string {
    const kind = this.#below(7);
    if (depth > 2 || kind < 2) return this.#pick(["1", "a", "", "b c", '"q\\n"', "(1,2)", "u"]);
    const name = this.#pick(NAMES);
    if (kind > 4) return kind === 5 ? `${name} ${this.#use(depth + 1)}` : name;
    const args = Array.from({ length: this.#below(4) }, () => this.#use(depth + 1));
    return `${name}(${args.join(",")})`;
  }
}
