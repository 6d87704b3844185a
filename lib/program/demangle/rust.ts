/**
 * Mangled Rust names: the legacy form, which is a C++ name whose last part is a hash, and v0
 * (Rust RFC 2603), whose paths name crates, impls, types and constants.
 *
 * Both are printed as `c++filt` prints them, or with hashes and crates' disambiguators left out.
 *
 * @module
 */
import { MangledText } from "./mangled_text.ts";
import { punycodeText } from "./punycode.ts";

const LEGACY = /17h[0-9a-f]{16}E(?:\.[\w.]*)?$/;
const ESCAPES: Readonly<Record<string, string>> = {
  SP: "@",
  BP: "*",
  RF: "&",
  LT: "<",
  GT: ">",
  LP: "(",
  RP: ")",
  C: ",",
};

/** Reads a legacy name; undefined if it is a C++ name. */
export function readLegacyRust(mangled: string, isVerbose: boolean): string | undefined {
  if (!mangled.startsWith("_ZN") || !LEGACY.test(mangled)) return undefined;
  const text = new MangledText(mangled, 3);
  const parts: string[] = [];
  while (!text.eat("E")) parts.push(text.take(text.number()));
  const hash = parts.pop() ?? "";
  // A hash of few different digits is none (`rustc_demangle`, `is_rust_hash`).
  if (!/^h[0-9a-f]{16}$/.test(hash) || new Set(hash.slice(1)).size < 5) return undefined;
  if (parts.length === 0) return undefined;
  const shown = isVerbose ? [...parts.map(legacyPart), hash] : parts.map(legacyPart);
  return shown.join("::");
}

function legacyPart(part: string): string {
  const text = part.startsWith("_$") ? part.slice(1) : part;
  return text.replace(/\$([A-Z]{1,2}|u[0-9a-f]{1,6})\$|\.\.|\./g, (whole, code?: string) => {
    if (whole === "..") return "::";
    if (code === undefined) return whole;
    if (code in ESCAPES) return ESCAPES[code]!;
    const point = code.startsWith("u") ? parseInt(code.slice(1), 16) : NaN;
    return point >= 0x20 && point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}

/** Reads a v0 name behind `_R`. @throws {Unreadable} If it is none. */
export function readRustV0(mangled: string, isVerbose: boolean): string {
  return new RustReader(mangled, 2, isVerbose).whole();
}

const BASIC_TYPES: Readonly<Record<string, string>> = {
  a: "i8",
  b: "bool",
  c: "char",
  d: "f64",
  e: "str",
  f: "f32",
  h: "u8",
  i: "isize",
  j: "usize",
  l: "i32",
  m: "u32",
  n: "i128",
  o: "u128",
  p: "_",
  s: "i16",
  t: "u16",
  u: "()",
  v: "...",
  x: "i64",
  y: "u64",
  z: "!",
};
const LONGEST = 1 << 16;
const MOST_PARTS = 1 << 16;

/** An identifier with the number that tells it from others of its name. */
interface Identifier {
  readonly name: string;
  readonly disambiguator: bigint;
}

class RustReader extends MangledText {
  readonly #isVerbose: boolean;
  /** Lifetimes that `for<…>` around the place binds. */
  #bound = 0;
  #parts = 0;
  #length = 0;

  constructor(text: string, at: number, isVerbose: boolean) {
    super(text, at);
    this.#isVerbose = isVerbose;
  }

  whole(): string {
    this.match(/\d+/y);
    const path = this.#path(true);
    // The crate that instantiated it says nothing to a reader.
    if (/[A-Z]/.test(this.peek)) this.#path(false);
    if (!this.atEnd && !this.sees(".")) this.fail();
    return path;
  }

  /** Counts what is read, since a reference back may be to something long. */
  #counted(text: string): string {
    if (++this.#parts > MOST_PARTS || (this.#length += text.length) > LONGEST * 16) this.fail();
    return text.length > LONGEST ? this.fail() : text;
  }

  /** A path; in a value `::` stands in front of generic arguments. */
  #path(isValue: boolean): string {
    return this.nested(() => this.#counted(this.#pathOf(this.next(), isValue)));
  }

  #pathOf(tag: string, isValue: boolean): string {
    switch (tag) {
      case "C": {
        const { name, disambiguator } = this.#identifier();
        return this.#isVerbose ? `${name}[${disambiguator.toString(16)}]` : name;
      }
      case "M":
        this.#implPath();
        return `<${this.#type()}>`;
      case "X":
      case "Y": {
        if (tag === "X") this.#implPath();
        const type = this.#type();
        return `<${type} as ${this.#path(false)}>`;
      }
      case "N":
        return this.#nestedPath(isValue);
      case "I": {
        const path = this.#path(isValue);
        const args = this.#list(() => this.#genericArgument()).join(", ");
        return `${path}${isValue ? "::" : ""}<${args}>`;
      }
      case "B":
        return this.#back(() => this.#path(isValue));
      default:
        return this.fail();
    }
  }

  #implPath(): void {
    this.#disambiguator();
    this.#path(false);
  }

  #nestedPath(isValue: boolean): string {
    const namespace = this.next();
    if (!/[a-zA-Z]/.test(namespace)) this.fail();
    const path = this.#path(isValue);
    const { name, disambiguator } = this.#identifier();
    if (/[a-z]/.test(namespace)) return name === "" ? path : `${path}::${name}`;
    const kind = namespace === "C" ? "closure" : namespace === "S" ? "shim" : namespace;
    return `${path}::{${kind}${name === "" ? "" : `:${name}`}#${disambiguator}}`;
  }

  #list(read: () => string): string[] {
    const items: string[] = [];
    while (!this.eat("E")) items.push(read());
    return items;
  }

  #back(read: () => string): string {
    const start = this.at - 1;
    const target = this.#base62();
    // A place is counted from behind `_R`, and lies before the reference.
    if (target + 2n >= BigInt(start)) this.fail();
    const after = this.at;
    this.at = Number(target) + 2;
    const text = read();
    this.at = after;
    return text;
  }

  #base62(): bigint {
    if (this.eat("_")) return 0n;
    let value = 0n;
    const digits = this.match(/[0-9a-zA-Z]{1,20}/y) ?? this.fail();
    for (const digit of digits) {
      const place = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".indexOf(digit);
      value = value * 62n + BigInt(place);
    }
    this.expect("_");
    return value + 1n;
  }

  #disambiguator(): bigint {
    return this.eat("s") ? this.#base62() + 1n : 0n;
  }

  #identifier(): Identifier {
    const disambiguator = this.#disambiguator();
    const isPunycode = this.eat("u");
    // A length has no leading zero: the 0 of a closure may have another name's digits behind it.
    const length = this.eat("0") ? 0 : this.number();
    this.eat("_");
    const raw = this.take(length);
    return { name: isPunycode ? punycodeText(raw) ?? this.fail() : raw, disambiguator };
  }

  #genericArgument(): string {
    if (this.eat("L")) return this.#lifetime(this.#base62());
    if (this.eat("K")) return this.#constant();
    return this.#type();
  }

  #lifetime(index: bigint): string {
    if (index === 0n) return "'_";
    const depth = BigInt(this.#bound) - index;
    if (depth < 0n) this.fail();
    return depth < 26n ? `'${String.fromCharCode(97 + Number(depth))}` : `'_${depth}`;
  }

  /** Reads what a `for<…>` may stand in front of. */
  #bindered(read: () => string): string {
    const count = this.eat("G") ? Number(this.#base62()) + 1 : 0;
    if (count > 1000) this.fail();
    const outer = this.#bound;
    const names: string[] = [];
    for (let k = 0; k < count; k++) {
      this.#bound++;
      names.push(this.#lifetime(1n));
    }
    const text = read();
    this.#bound = outer;
    return count === 0 ? text : `for<${names.join(", ")}> ${text}`;
  }

  #type(): string {
    return this.nested(() => this.#counted(this.#typeOf(this.next())));
  }

  #typeOf(tag: string): string {
    const basic = BASIC_TYPES[tag];
    if (basic !== undefined) return basic;
    switch (tag) {
      case "R":
      case "Q": {
        let text = "&";
        if (this.eat("L")) {
          const index = this.#base62();
          if (index > 0n) text += `${this.#lifetime(index)} `;
        }
        return `${text}${tag === "Q" ? "mut " : ""}${this.#type()}`;
      }
      case "P":
        return `*const ${this.#type()}`;
      case "O":
        return `*mut ${this.#type()}`;
      case "A": {
        const type = this.#type();
        return `[${type}; ${this.#constant()}]`;
      }
      case "S":
        return `[${this.#type()}]`;
      case "T": {
        const items = this.#list(() => this.#type());
        return `(${items.join(", ")}${items.length === 1 ? "," : ""})`;
      }
      case "F":
        return this.#bindered(() => this.#functionType());
      case "D": {
        const traits = this.#bindered(() => this.#list(() => this.#dynTrait()).join(" + "));
        this.expect("L");
        const lifetime = this.#base62();
        return `dyn ${traits}${lifetime > 0n ? ` + ${this.#lifetime(lifetime)}` : ""}`;
      }
      case "B":
        return this.#back(() => this.#type());
      default:
        this.at--;
        return this.#path(false);
    }
  }

  #functionType(): string {
    let text = this.eat("U") ? "unsafe " : "";
    if (this.eat("K")) {
      const abi = this.eat("C") ? "C" : this.#identifier().name.replaceAll("_", "-");
      text += `extern "${abi}" `;
    }
    text += `fn(${this.#list(() => this.#type()).join(", ")})`;
    return this.eat("u") ? text : `${text} -> ${this.#type()}`;
  }

  #dynTrait(): string {
    const path = this.#openPath();
    const bindings: string[] = [];
    while (this.eat("p")) {
      const { name } = this.#identifier();
      bindings.push(`${name} = ${this.#type()}`);
    }
    if (bindings.length === 0) return path.isOpen ? `${path.text}>` : path.text;
    const all = bindings.join(", ");
    return path.isOpen ? `${path.text}, ${all}>` : `${path.text}<${all}>`;
  }

  /** A trait's path, whose generic arguments are left open for what it binds. */
  #openPath(): { readonly text: string; readonly isOpen: boolean } {
    if (this.eat("B")) {
      let isOpen = false;
      const text = this.#back(() => {
        const path = this.#openPath();
        ({ isOpen } = path);
        return path.text;
      });
      return { text, isOpen };
    }
    if (!this.eat("I")) return { text: this.#path(false), isOpen: false };
    const path = this.#path(false);
    const args = this.#list(() => this.#genericArgument()).join(", ");
    return { text: `${path}<${args}`, isOpen: true };
  }

  #constant(): string {
    if (this.eat("B")) return this.#back(() => this.#constant());
    if (this.eat("p")) return "_";
    const tag = this.next();
    const type = BASIC_TYPES[tag];
    if (type === undefined) return this.fail();
    const isNegative = /[ailnsx]/.test(tag) && this.eat("n");
    const digits = this.match(/[0-9a-f]*/y) ?? "";
    this.expect("_");
    const value = BigInt(`0x${digits || "0"}`);
    const typed = (text: string) => this.#isVerbose ? `${text}: ${type}` : text;
    switch (tag) {
      case "b":
        if (value > 1n) this.fail();
        return typed(value === 1n ? "true" : "false");
      case "c":
        return value > 0x10ffffn ? this.fail() : typed(characterText(Number(value)));
    }
    if (!/[ailnsxhjmoty]/.test(tag)) return this.fail();
    const number = value >= 1n << 64n ? `0x${digits}` : value.toString();
    return typed(`${isNegative ? "-" : ""}${number}`);
  }
}

function characterText(point: number): string {
  const escaped = ({ 9: "\\t", 10: "\\n", 13: "\\r", 39: "\\'", 92: "\\\\" } as const)[point];
  if (escaped !== undefined) return `'${escaped}'`;
  if (point >= 0x20 && point < 0x7f) return `'${String.fromCharCode(point)}'`;
  return `'\\u{${point.toString(16)}}'`;
}
