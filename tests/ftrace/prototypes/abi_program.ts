/**
 * Random C programs for tests of the calling convention: functions with parameters and results of
 * random types, calls with known values, and what of each call is to be shown.
 *
 * What is shown is made from the values, never from our reading of the prototypes.
 *
 * @module
 */

/** A program, and what `-p args` must print of it. */
export interface AbiProgram {
  /** Its types and prototypes, which is the header that is read. */
  readonly header: string;
  /** All of it. */
  readonly source: string;
  /** A line of each call, in order. */
  readonly lines: readonly string[];
}

/** A value of a type, in C and as it is shown. */
interface Value {
  readonly c: string;
  readonly text: string;
}

/** A type by its name in C, and a random value of it. */
interface RandomType {
  readonly name: string;
  value(): Value;
}

/** Numbers from a seed (xorshift). */
function randomOf(seed: number): (below: number) => number {
  let state = (seed * 2654435761 + 1) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

/** Makes a program of `count` functions. */
export function makeAbiProgram(seed: number, count: number): AbiProgram {
  return new Generator(randomOf(seed)).program(count);
}

class Generator {
  readonly #below: (below: number) => number;
  readonly #definitions: string[] = [];
  #structs = 0;

  constructor(below: (below: number) => number) {
    this.#below = below;
  }

  program(count: number): AbiProgram {
    const prototypes: string[] = [];
    const bodies: string[] = [];
    const calls: string[] = [];
    const lines: string[] = [];
    for (let n = 0; n < count; n++) {
      const returns = this.#below(5) === 0 ? undefined : this.#type(2);
      const parameters = Array.from({ length: this.#below(13) }, () => this.#type(2));
      const declared = parameters.map(({ name }, k) => `${name} p${k}`).join(", ") || "void";
      const head = `${returns?.name ?? "void"} f${n}(${declared})`;
      const values = parameters.map((type) => type.value());
      const result = returns?.value();
      prototypes.push(`${head};`);
      const given = returns ? `${returns.name} r = ${result!.c}; return r;` : "";
      bodies.push(`TRACED ${head} { __asm__ volatile(""); ${given} }`);
      const args = values.map((_, k) => `a${k}`).join(", ");
      const set = values.map(({ c }, k) => `${parameters[k]!.name} a${k} = ${c};`).join(" ");
      calls.push(`{ ${set} f${n}(${args}); }`);
      const shown = values.map(({ text }, k) => `p${k}=${text}`).join(", ");
      lines.push(`f${n}(${shown})${result ? ` = ${result.text}` : ""}`);
    }
    const header = [...this.#definitions, ...prototypes].join("\n") + "\n";
    const source = `#define TRACED __attribute__((noipa))\n${header}${bodies.join("\n")}\n` +
      `int main(void) {\n  ${calls.join("\n  ")}\n  return 0;\n}\n`;
    return { header, source, lines };
  }

  #type(depth: number): RandomType {
    const kind = this.#below(depth > 0 ? 14 : 9);
    if (kind < 3) return this.#integer();
    if (kind < 6) return this.#float(this.#below(2) === 0 ? "float" : "double");
    switch (kind) {
      case 6:
        return this.#float("long double");
      case 7:
        return this.#wide();
      case 8:
        return this.#complex();
      case 9:
        return this.#union(depth - 1);
      default:
        return this.#struct(depth - 1);
    }
  }

  #integer(): RandomType {
    const bits = [8, 16, 32, 64][this.#below(4)]!;
    const signed = this.#below(2) === 0;
    const name = bits === 8
      ? `${signed ? "signed" : "unsigned"} char`
      : `${signed ? "" : "unsigned "}${{ 16: "short", 32: "int", 64: "long" }[bits as 16]}`;
    return {
      name,
      value: () => {
        const raw = BigInt(this.#below(2 ** 32)) << 32n | BigInt(this.#below(2 ** 32));
        const number = signed ? BigInt.asIntN(bits, raw) : BigInt.asUintN(bits, raw);
        const printable = bits === 8 && number >= 0x20n && number < 0x7fn;
        const text = printable ? `'${String.fromCharCode(Number(number))}'` : `${number}`;
        return { c: `(${name})${BigInt.asUintN(64, number)}ul`, text };
      },
    };
  }

  #number(): number {
    return (this.#below(2 ** 20) - 2 ** 19) / 64;
  }

  #float(name: string): RandomType {
    return {
      name,
      value: () => {
        const number = this.#number();
        return { c: `${number}`, text: `${number}` };
      },
    };
  }

  #complex(): RandomType {
    const name = `_Complex ${["float", "double"][this.#below(2)]}`;
    return {
      name,
      value: () => {
        const [real, imaginary] = [this.#number(), this.#number()];
        const sign = imaginary < 0 ? "" : "+";
        return { c: `${real} + ${imaginary} * 1.0i`, text: `${real}${sign}${imaginary}i` };
      },
    };
  }

  #wide(): RandomType {
    return {
      name: "__int128",
      value: () => {
        const [high, low] = [this.#below(2 ** 31) - 2 ** 30, this.#below(2 ** 32)];
        const text = `${(BigInt(high) << 64n) + BigInt(low)}`;
        return { c: `(((__int128)${high}) * ((__int128)1 << 64)) + ${low}u`, text };
      },
    };
  }

  #struct(depth: number): RandomType {
    const packed = this.#below(12) === 0;
    const align = this.#below(12) === 0 ? [4, 8, 16, 32][this.#below(4)]! : 0;
    const members = Array.from({ length: 1 + this.#below(3) }, (_, n) => this.#member(n, depth));
    const attributes = `${packed ? " __attribute__((packed))" : ""}${
      align ? ` __attribute__((aligned(${align})))` : ""
    }`;
    const name = `struct s${this.#structs++}`;
    this.#definitions.push(
      `${name} { ${members.map(({ declared }) => declared).join(" ")} }${attributes};`,
    );
    return {
      name,
      value: () => {
        const values = members.map(({ value }) => value());
        return {
          c: `(${name}){ ${values.map(({ c }) => c).join(", ")} }`,
          text: `{${values.map(({ text }, n) => `m${n}=${text}`).join(", ")}}`,
        };
      },
    };
  }

  #member(n: number, depth: number): { readonly declared: string; value(): Value } {
    if (this.#below(8) === 0) return this.#bitField(n);
    const type = this.#type(depth);
    if (this.#below(6) !== 0) return { declared: `${type.name} m${n};`, value: type.value };
    if (this.#below(2) === 0) return this.#characters(n);
    const count = 1 + this.#below(3);
    return {
      declared: `${type.name} m${n}[${count}];`,
      value: () => {
        const values = Array.from({ length: count }, () => type.value());
        const texts = values.map(({ text }) => /^'.'$/.test(text) ? `${text.charCodeAt(1)}` : text);
        return { c: `{ ${values.map(({ c }) => c).join(", ")} }`, text: `[${texts.join(", ")}]` };
      },
    };
  }

  #characters(n: number): { readonly declared: string; value(): Value } {
    const count = 1 + this.#below(12);
    const text = "abcdefghijklm".slice(0, count - 1);
    return {
      declared: `char m${n}[${count}];`,
      value: () => ({ c: `"${text}"`, text: `"${text}"` }),
    };
  }

  #bitField(n: number): { readonly declared: string; value(): Value } {
    const type = ["int", "unsigned", "long", "unsigned short"][this.#below(4)]!;
    const most = { int: 32, unsigned: 32, long: 64 }[type] ?? 16;
    const width = 1 + this.#below(Math.min(most, 30));
    const value = this.#below(2 ** width);
    const signed = type === "int" || type === "long";
    const text = signed ? BigInt.asIntN(width, BigInt(value)) : value;
    return {
      declared: `${type} m${n} : ${width};`,
      value: () => ({ c: `${value}`, text: `${text}` }),
    };
  }

  #union(depth: number): RandomType {
    const member = this.#type(depth);
    const name = `union s${this.#structs++}`;
    this.#definitions.push(`${name} { ${member.name} m0; };`);
    return {
      name,
      value: () => {
        const { c, text } = member.value();
        return { c: `(${name}){ ${c} }`, text: `{m0=${text}}` };
      },
    };
  }
}
