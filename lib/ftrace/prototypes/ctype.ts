/**
 * C types as far as a value in registers or memory needs them, and what they measure on RV64.
 *
 * How types are read is `declarations.ts`; where members of a structure are is `layout.ts`.
 *
 * @module
 */

/** What every type may have. */
export interface CAligned {
  /** Bytes that its address is a multiple of, where an attribute says more than the type itself. */
  readonly align?: number;
}

/** A member of a structure or union. */
export interface CMember {
  /** Name of the member; empty for one without a name, whose members are the structure's own. */
  readonly name: string;
  /** Type of the member. */
  readonly type: CType;
  /** Bytes before it. */
  readonly offset: number;
  /** Of a bit-field: how many bits it has, and how many of the structure's are before it. */
  readonly bits?: { readonly width: number; readonly start: number };
}

/** What is in a structure or union, and how many bytes it takes. */
export interface CLayout {
  /** The members in order, with bit-fields that have no name. */
  readonly members: readonly CMember[];
  /** Bytes of the whole. */
  readonly size: number;
  /** Bytes that its address is a multiple of. */
  readonly align: number;
}

/** A structure or union; its layout comes with its definition, which may follow its first use. */
export interface CStruct extends CAligned {
  /** What it is. */
  readonly kind: "struct" | "union";
  /** Its tag; empty without one. */
  readonly tag: string;
  /** What is in it, if that is known. */
  layout: CLayout | undefined;
  /** Why there is no layout. */
  problem: string;
  /** Whether it is passed as its first member is (`transparent_union`). */
  transparent?: boolean;
}

/** A function's type: what it returns and takes. */
export interface CCode extends CAligned {
  /** What it is. */
  readonly kind: "code";
  /** Type of the return value. */
  readonly returns: CType;
  /** The parameters; the name is empty where none is given. */
  readonly parameters: readonly CParameter[];
  /** Whether more arguments may follow. */
  readonly variadic: boolean;
}

/** A parameter of a function. */
export interface CParameter {
  /** Name of the parameter; empty where the prototype gives none. */
  readonly name: string;
  /** Type of the parameter, arrays and functions made pointers. */
  readonly type: CType;
}

/** A type, as far as it matters for reading a value. */
export type CType =
  | { readonly kind: "void" | "bool" } & CAligned
  /** Pointer to plain characters, or to a function. */
  | { readonly kind: "string" | "function" } & CAligned
  | { readonly kind: "pointer"; readonly to: CType } & CAligned
  | {
    readonly kind: "integer";
    /** Bytes of the value: 1, 2, 4, 8 or 16. */
    readonly bytes: number;
    readonly signed: boolean;
    /**
     * Whether it is a character, pointers to which are text: `char`, or one with a sign spelled out,
     * which is text where it is written so, and a number where a typedef names it.
     */
    readonly text?: "plain" | "spelled";
  } & CAligned
  | { readonly kind: "float"; readonly bytes: 2 | 4 | 8 | 16 } & CAligned
  | { readonly kind: "complex"; readonly part: 2 | 4 | 8 | 16 } & CAligned
  | {
    readonly kind: "enum";
    readonly bytes: number;
    readonly signed: boolean;
    /** The first name of each value. */
    readonly names: ReadonlyMap<bigint, string>;
  } & CAligned
  | { readonly kind: "array"; readonly of: CType; readonly count: number | undefined } & CAligned
  | CStruct
  | CCode
  /** A name that no declaration explains. */
  | { readonly kind: "unknown"; readonly name: string } & CAligned;

/** An integer type. */
export function integerType(bytes: number, signed: boolean): CType {
  return { kind: "integer", bytes, signed };
}

const CODE: CType = { kind: "function" };
const STRING: CType = { kind: "string" };

/** The type of a pointer to `to`. */
export function pointerTo(to: CType): CType {
  if (to.kind === "code") return CODE;
  return to.kind === "integer" && to.text ? STRING : { kind: "pointer", to };
}

/** What a parameter of a type is: arrays and functions become pointers (C 6.7.6.3). */
export function parameterType(type: CType): CType {
  if (type.kind === "array") return pointerTo(type.of);
  if (type.kind === "code") return CODE;
  if (type.kind === "union" && type.transparent) return type.layout?.members[0]?.type ?? type;
  return type;
}

/** Bytes of a value of a type; undefined if that is not known. */
export function sizeOf(type: CType): number | undefined {
  switch (type.kind) {
    case "void":
    case "bool":
    case "code":
      return 1;
    case "string":
    case "function":
    case "pointer":
      return 8;
    case "integer":
    case "float":
    case "enum":
      return type.bytes;
    case "complex":
      return 2 * type.part;
    case "array": {
      const each = sizeOf(type.of);
      return each === undefined || type.count === undefined ? undefined : each * type.count;
    }
    case "struct":
    case "union":
      return type.layout?.size;
    case "unknown":
      return undefined;
  }
}

/** Bytes that the address of a value of a type is a multiple of; undefined if that is not known. */
export function alignOf(type: CType): number | undefined {
  if (type.align !== undefined) return type.align;
  if (type.kind === "array") return alignOf(type.of);
  if (type.kind === "complex") return type.part;
  if (type.kind === "struct" || type.kind === "union") return type.layout?.align;
  return sizeOf(type);
}

/** Why a value of a type has no size. */
export function whyUnsized(type: CType): string {
  switch (type.kind) {
    case "array":
      return type.count === undefined ? "an array's length is not known" : whyUnsized(type.of);
    case "struct":
    case "union":
      return type.problem;
    case "unknown":
      return `${type.name} is no type that is known; declare it with typedef`;
    default:
      return "its size is not known";
  }
}

/** A structure or union that is only named so far. */
export function incompleteStruct(kind: CStruct["kind"], tag: string): CStruct {
  const problem = `${kind} ${tag} is passed by value, and what is in it is not declared`;
  return { kind, tag, layout: undefined, problem };
}
