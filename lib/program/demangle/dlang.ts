/**
 * Mangled D names (dlang.org, "Application Binary Interface", Name Mangling), as
 * `c++filt -s dlang` prints them.
 *
 * @module
 */
import { MangledText } from "./mangled_text.ts";

/** A D name: with its parameters, and without. */
export interface DName {
  /** Everything that c++filt prints. */
  readonly full: string;
  /** What c++filt prints, without the parameters of the function itself. */
  readonly short: string;
}

const BASIC_TYPES: Readonly<Record<string, string>> = {
  n: "typeof(null)",
  v: "void",
  g: "byte",
  h: "ubyte",
  s: "short",
  t: "ushort",
  i: "int",
  k: "uint",
  l: "long",
  m: "ulong",
  f: "float",
  d: "double",
  e: "real",
  o: "ifloat",
  p: "idouble",
  j: "ireal",
  q: "cfloat",
  r: "cdouble",
  c: "creal",
  b: "bool",
  a: "char",
  u: "wchar",
  w: "dchar",
};
const CONVENTIONS: Readonly<Record<string, string>> = {
  F: "",
  U: "extern(C) ",
  W: "extern(Windows) ",
  V: "extern(Pascal) ",
  R: "extern(C++) ",
  Y: "extern(Objective-C) ",
};
const ATTRIBUTES: Readonly<Record<string, string>> = {
  a: "pure ",
  b: "nothrow ",
  c: "ref ",
  d: "@property ",
  e: "@trusted ",
  f: "@safe ",
  i: "@nogc ",
  j: "return ",
  l: "scope ",
  m: "@live ",
};
/** Names of a compiler's that stand for something else, in front of the name they end. */
const SPECIAL: Readonly<Record<string, string>> = {
  __initZ: "initializer for ",
  __vtblZ: "vtable for ",
  __ClassZ: "ClassInfo for ",
  __InterfaceZ: "Interface for ",
  __ModuleInfoZ: "ModuleInfo for ",
};
const WORDS: Readonly<Record<string, string>> = {
  __ctor: "this",
  __dtor: "~this",
  __postblit: "this(this)",
};
const LONGEST = 1 << 16;

/** Reads a name behind `_D`. @throws {Unreadable} If it is none. */
export function readD(mangled: string): DName {
  if (mangled === "_Dmain") return { full: "D main", short: "D main" };
  return new DReader(mangled, 2).whole();
}

class DReader extends MangledText {
  #length = 0;

  whole(): DName {
    const name = this.#qualified();
    // What a variable is, or a function returns, is read and not printed.
    if (!this.eat("Z")) this.#type();
    if (!this.atEnd) this.fail();
    return name;
  }

  #counted(text: string): string {
    if ((this.#length += text.length) > LONGEST * 4) this.fail();
    return text;
  }

  #qualified(): DName {
    return this.nested(() => {
      let text = "";
      let short = "";
      do {
        const prefix = text;
        const part = this.#identifier();
        const special = this.sees("Z") ? SPECIAL[`${part}Z`] : undefined;
        if (special !== undefined && prefix !== "") {
          return { full: `${special}${prefix}`, short: `${special}${prefix}` };
        }
        const dot = prefix === "" || part === "" ? "" : ".";
        short = text = this.#counted(`${prefix}${dot}${WORDS[part] ?? part}`);
        if (part === "__postblit" && this.sees("M")) text = short = `${prefix}.this(this)`;
        const parameters = this.#parameters();
        if (parameters !== undefined) {
          text = part === "__postblit" ? text : `${text}${parameters}`;
        }
      } while (this.#seesIdentifier());
      return { full: text, short };
    });
  }

  /** Parameters of a function that is part of a name; undefined if the part is no function. */
  #parameters(): string | undefined {
    const start = this.at;
    let modifiers = "";
    if (this.eat("M")) {
      for (;;) {
        if (this.eat("x")) modifiers += " const";
        else if (this.eat("y")) modifiers += " immutable";
        else if (this.eat("O")) modifiers += " shared";
        else if (this.eat("Ng")) modifiers += " inout";
        else break;
      }
    }
    if (!(this.peek in CONVENTIONS)) {
      this.at = start;
      return undefined;
    }
    this.next();
    this.#attributes();
    return this.#arguments() + modifiers;
  }

  #attributes(): string {
    let text = "";
    while (this.sees("N")) {
      const letter = this.text.charAt(this.at + 1);
      const word = ATTRIBUTES[letter];
      if (word === undefined) break;
      this.at += 2;
      text += word;
    }
    return text;
  }

  #arguments(): string {
    const types: string[] = [];
    for (;;) {
      if (this.eat("X")) return `(${types.join(", ")}...)`;
      if (this.eat("Y")) return `(${types.join(", ")}${types.length > 0 ? ", " : ""}...)`;
      if (this.eat("Z")) return `(${types.join(", ")})`;
      let storage = this.eat("M") ? "scope " : "";
      if (this.eat("Nk")) storage += "return ";
      const words: Readonly<Record<string, string>> = {
        I: "in ",
        J: "out ",
        K: "ref ",
        L: "lazy ",
      };
      const word = words[this.peek];
      if (word !== undefined) {
        this.next();
        storage += word;
        if (word === "in " && this.eat("K")) storage += "ref ";
      }
      types.push(storage + this.#type());
    }
  }

  #seesIdentifier(): boolean {
    if (/\d/.test(this.peek) || this.sees("__T") || this.sees("__U")) return true;
    if (!this.sees("Q")) return false;
    const { at } = this;
    this.next();
    const target = this.#backTarget(at);
    this.at = at;
    return /\d/.test(this.text.charAt(target));
  }

  /** Where a reference back leads: base 26, whose last digit is a small letter. */
  #backTarget(start: number): number {
    let distance = 0;
    for (;;) {
      const letter = this.next();
      if (/[A-Z]/.test(letter)) distance = distance * 26 + letter.charCodeAt(0) - 65;
      else if (/[a-z]/.test(letter)) {
        distance = distance * 26 + letter.charCodeAt(0) - 97;
        break;
      } else this.fail();
      if (distance > start) this.fail();
    }
    if (distance === 0 || distance > start) this.fail();
    return start - distance;
  }

  #back(read: () => string): string {
    const start = this.at;
    this.expect("Q");
    const target = this.#backTarget(start);
    const after = this.at;
    this.at = target;
    const text = this.nested(read);
    this.at = after;
    return this.#counted(text);
  }

  #identifier(): string {
    if (this.sees("Q")) return this.#back(() => this.#identifier());
    if (this.sees("__T") || this.sees("__U")) return this.#template();
    const length = this.number();
    const start = this.at;
    if (length >= 5 && (this.sees("__T") || this.sees("__U"))) {
      const text = this.#template();
      if (this.at !== start + length) this.fail();
      return text;
    }
    return this.take(length);
  }

  #template(): string {
    this.take(3);
    const name = this.#identifier();
    const args: string[] = [];
    while (!this.eat("Z")) args.push(this.nested(() => this.#templateArgument()));
    return `${name}!(${args.join(", ")})`;
  }

  #templateArgument(): string {
    this.eat("H");
    switch (this.next()) {
      case "T":
        return this.#type();
      case "S":
        return this.#symbol();
      case "V": {
        const kind = this.sees("Q") ? this.text.charAt(this.#peekBack()) : this.peek;
        const type = this.#type();
        return this.#value(kind, type);
      }
      case "X":
        return this.take(this.number());
      default:
        return this.fail();
    }
  }

  #peekBack(): number {
    const { at } = this;
    this.next();
    const target = this.#backTarget(at);
    this.at = at;
    return target;
  }

  #symbol(): string {
    if (this.eat("_D")) {
      const { full } = this.#qualified();
      if (!this.eat("Z")) this.#type();
      return full;
    }
    return this.#qualified().full;
  }

  #value(kind: string, type: string): string {
    if (this.eat("n")) return "null";
    if (this.eat("N")) return `-${this.match(/\d+/y) ?? this.fail()}${suffixOf(kind)}`;
    if (this.eat("i")) return this.#integer(kind, this.match(/\d+/y) ?? this.fail());
    if (this.eat("e")) return this.#float();
    if (/\d/.test(this.peek)) return this.#integer(kind, this.match(/\d+/y)!);
    if (/[awd]/.test(this.peek)) return this.#string();
    if (this.eat("A")) {
      const count = this.number();
      const items: string[] = [];
      for (let k = 0; k < count; k++) {
        const item = this.#value("", "");
        items.push(kind === "H" ? `${item}:${this.#value("", "")}` : item);
      }
      return `[${items.join(", ")}]`;
    }
    if (this.eat("S")) {
      const count = this.number();
      const items: string[] = [];
      for (let k = 0; k < count; k++) items.push(this.#value("", ""));
      return `${type}(${items.join(", ")})`;
    }
    return this.fail();
  }

  #integer(kind: string, digits: string): string {
    if (kind === "b") return digits === "0" ? "false" : "true";
    if (/[auw]/.test(kind) && kind !== "") {
      const code = Number(digits);
      if (kind === "a" && code >= 0x20 && code < 0x7f) return `'${String.fromCharCode(code)}'`;
      const [mark, width] = kind === "a" ? ["x", 2] : kind === "u" ? ["u", 4] : ["U", 8];
      return `'\\${mark}${code.toString(16).padStart(Number(width), "0")}'`;
    }
    return `${digits}${suffixOf(kind)}`;
  }

  /** A number in hexadecimal digits, the first of them in front of the point. */
  #float(): string {
    const special = this.match(/NAN|INF|NINF/y);
    if (special !== undefined) {
      return special === "NINF" ? "-Inf" : special === "INF" ? "Inf" : "NaN";
    }
    const sign = this.eat("N") ? "-" : "";
    const digits = this.match(/[0-9A-F]+/y) ?? this.fail();
    this.expect("P");
    const power = `${this.eat("N") ? "-" : ""}${this.match(/\d+/y) ?? this.fail()}`;
    return `${sign}0x${digits[0]}.${digits.slice(1)}p${power}`;
  }

  #string(): string {
    const kind = this.next();
    const length = this.number();
    this.expect("_");
    let text = "";
    for (let k = 0; k < length; k++) {
      const code = parseInt(this.take(2), 16);
      if (Number.isNaN(code)) this.fail();
      const escaped = ({ 9: "\\t", 10: "\\n", 13: "\\r", 12: "\\f", 11: "\\v" } as const)[code];
      text += escaped ??
        (code >= 0x20 && code < 0x7f
          ? String.fromCharCode(code)
          : `\\x${code.toString(16).padStart(2, "0")}`);
    }
    return `"${text}"${kind === "a" ? "" : kind}`;
  }

  #type(): string {
    return this.nested(() => this.#counted(this.#typeOf()));
  }

  #typeOf(): string {
    if (this.sees("Q")) return this.#back(() => this.#type());
    if (this.peek in CONVENTIONS) return this.#functionType("function");
    const tag = this.next();
    const basic = BASIC_TYPES[tag];
    if (basic !== undefined) return basic;
    switch (tag) {
      case "O":
        return `shared(${this.#type()})`;
      case "x":
        return `const(${this.#type()})`;
      case "y":
        return `immutable(${this.#type()})`;
      case "N":
        if (this.eat("g")) return `inout(${this.#type()})`;
        if (this.eat("h")) return `__vector(${this.#type()})`;
        return this.eat("n") ? "typeof(*null)" : this.fail();
      case "A":
        return `${this.#type()}[]`;
      case "G": {
        const digits = this.match(/\d+/y) ?? this.fail();
        return `${this.#type()}[${digits}]`;
      }
      case "H": {
        const key = this.#type();
        return `${this.#type()}[${key}]`;
      }
      case "P":
        if (this.peek in CONVENTIONS) return this.#functionType("function");
        return `${this.#type()}*`;
      case "C":
      case "S":
      case "E":
      case "T":
        return this.#qualified().full;
      case "D": {
        const modifiers = this.match(/(?:[xyO]|Ng)*/y) ?? "";
        const words: Record<string, string> = { x: " const", y: " immutable", O: " shared" };
        const text = this.sees("Q")
          ? this.#back(() => this.#functionType("delegate"))
          : this.#functionType("delegate");
        return text + [...modifiers].map((letter) => words[letter] ?? "").join("");
      }
      case "B": {
        const count = this.number();
        const items: string[] = [];
        for (let k = 0; k < count; k++) items.push(this.#type());
        return `Tuple!(${items.join(", ")})`;
      }
      case "z":
        return this.eat("i") ? "cent" : this.eat("k") ? "ucent" : this.fail();
      default:
        return this.fail();
    }
  }

  #functionType(word: string): string {
    const convention = CONVENTIONS[this.next()];
    if (convention === undefined) return this.fail();
    const attributes = this.#attributes();
    const parameters = this.#arguments();
    return `${convention}${this.#type()}${parameters} ${attributes}${word}`;
  }
}

function suffixOf(kind: string): string {
  switch (kind) {
    case "h":
    case "t":
    case "k":
      return "u";
    case "l":
      return "L";
    case "m":
      return "uL";
    default:
      return "";
  }
}
