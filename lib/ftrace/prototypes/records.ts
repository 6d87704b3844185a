/**
 * Definitions of structures, unions and enums.
 *
 * What is in between, specifiers and declarators, is read by `declarations.ts`.
 *
 * @module
 */
import { type Attributes, noAttributes, readAttributes } from "./attributes.ts";
import type { Cursor } from "./cursor.ts";
import { type CStruct, type CType, incompleteStruct, integerType, whyUnsized } from "./ctype.ts";
import { type ConstantScope, readConstant } from "./expression.ts";
import { type DeclaredMember, layoutOf } from "./layout.ts";

/** What declares members: specifiers and declarators. */
export interface MemberReader extends ConstantScope {
  /** Reads what is before the names. */
  specifiers(): { readonly type: CType; readonly attributes: Attributes };
  /** Reads a name, and what it makes of `base`. */
  declared(
    base: CType,
    around: Attributes,
  ): { readonly name: string; readonly type: CType; readonly attributes: Attributes };
  /** Tells of something that was passed over. */
  skipped(from: number, why: string): void;
  /** Most bytes of alignment that `#pragma pack` allows at the cursor, 0 for any. */
  readonly packed: number;
}

/** Structures, unions and enums of one text by tag, and members of enums. */
export class Records {
  readonly #structs = new Map<string, CStruct>();
  readonly #enums = new Map<string, CType>();
  readonly #constants = new Map<string, bigint>();

  /** Value of an enum's member. */
  constant(name: string): bigint | undefined {
    return this.#constants.get(name);
  }

  /** Reads what follows `struct` or `union`. */
  struct(kind: CStruct["kind"], cursor: Cursor, reader: MemberReader): CStruct {
    const attributes = noAttributes();
    readAttributes(cursor, attributes, reader);
    const tag = tagOf(cursor);
    readAttributes(cursor, attributes, reader);
    if (cursor.text !== "{") {
      if (tag === "") cursor.refuse(`${kind} has neither a name nor members`);
      return this.#named(kind, tag);
    }
    const struct = tag === "" ? incompleteStruct(kind, tag) : this.#named(kind, tag);
    const most = reader.packed;
    const members = readMembers(cursor, reader);
    readAttributes(cursor, attributes, reader);
    if (typeof members === "string") struct.problem = members;
    else this.#complete(struct, members, attributes, most);
    return struct;
  }

  #named(kind: CStruct["kind"], tag: string): CStruct {
    const key = `${kind} ${tag}`;
    const known = this.#structs.get(key);
    if (known) return known;
    const made = incompleteStruct(kind, tag);
    this.#structs.set(key, made);
    return made;
  }

  #complete(
    struct: CStruct,
    members: readonly DeclaredMember[],
    { packed, align, transparent }: Attributes,
    most: number,
  ): void {
    if (struct.layout) return;
    const layout = layoutOf(members, { kind: struct.kind, packed, align, most });
    if ("unknown" in layout) {
      const { name, type } = layout.unknown;
      const whole = struct.tag === "" ? `a ${struct.kind}` : `${struct.kind} ${struct.tag}`;
      struct.problem = `the size of ${name || "a member"} in ${whole}: ${whyUnsized(type)}`;
    } else struct.layout = layout;
    if (transparent) struct.transparent = true;
  }

  /** Reads what follows `enum`. */
  enumeration(cursor: Cursor, reader: MemberReader): CType {
    const attributes = noAttributes();
    readAttributes(cursor, attributes, reader);
    const tag = tagOf(cursor);
    readAttributes(cursor, attributes, reader);
    const base = readBase(cursor, reader);
    if (cursor.text !== "{") {
      if (tag === "") cursor.refuse("enum has neither a name nor members");
      return this.#enums.get(tag) ?? base ?? integerType(4, true);
    }
    const close = cursor.partner();
    if (close < 0) cursor.refuse("an enum's members have no end");
    cursor.next();
    const names = this.#members(cursor, reader);
    if (cursor.at !== close) cursor.refuse("an enum's members stand between commas");
    cursor.next();
    readAttributes(cursor, attributes, reader);
    const type = enumType(names, base, attributes.packed);
    if (tag !== "") this.#enums.set(tag, type);
    return type;
  }

  #members(cursor: Cursor, reader: MemberReader): ReadonlyMap<bigint, string> {
    const names = new Map<bigint, string>();
    let value: bigint | undefined = 0n;
    while (cursor.text !== "}") {
      if (!cursor.isName()) cursor.refuse("an enum holds names");
      const name = cursor.next();
      readAttributes(cursor, noAttributes(), reader);
      if (cursor.take("=")) value = readConstant(cursor, reader);
      if (value !== undefined) {
        if (!names.has(value)) names.set(value, name);
        this.#constants.set(name, value++);
      }
      // A word of a macro may mark it as old.
      while (cursor.isName()) {
        cursor.next();
        if (cursor.text === "(") cursor.skipGroup();
      }
      if (!cursor.take(",")) break;
    }
    return names;
  }
}

/** The type behind the colon of `enum e : int {`; a bit-field's colon has a number behind it. */
function readBase(cursor: Cursor, reader: MemberReader): CType | undefined {
  if (!cursor.take(":")) return undefined;
  if (reader.beginsType(cursor)) return reader.specifiers().type;
  cursor.at--;
  return undefined;
}

/** The tag at the cursor; a word of a macro before it is passed over. */
function tagOf(cursor: Cursor): string {
  let tag = "";
  while (cursor.isName()) {
    const isMacro = cursor.isName(1) && (cursor.peek(2) === "{" || cursor.peek(2) === ";");
    if (tag !== "" || /^(const|volatile)$/.test(cursor.text)) break;
    const word = cursor.next();
    if (!(isMacro && /^[A-Z_][A-Z0-9_]*$/.test(word))) tag = word;
  }
  return tag;
}

/** An enum is an unsigned int unless a value is negative or too great (gcc). */
function enumType(
  names: ReadonlyMap<bigint, string>,
  base: CType | undefined,
  packed: boolean,
): CType {
  if (base?.kind === "integer") {
    return { kind: "enum", bytes: base.bytes, signed: base.signed, names };
  }
  let [least, most] = [0n, 0n];
  for (const value of names.keys()) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  const signed = least < 0n;
  const fits = (bytes: number) =>
    signed
      ? BigInt.asIntN(8 * bytes, least) === least && BigInt.asIntN(8 * bytes, most) === most
      : BigInt.asUintN(8 * bytes, most) === most;
  const bytes = (packed ? [1, 2, 4] : [4]).find(fits) ?? 8;
  return { kind: "enum", bytes, signed, names };
}

/** Reads members between braces; a text that says why not, if one of them cannot be read. */
function readMembers(cursor: Cursor, reader: MemberReader): DeclaredMember[] | string {
  const open = cursor.at;
  const close = cursor.partner();
  if (close < 0) cursor.refuse("a structure has no end");
  cursor.next();
  const members: DeclaredMember[] = [];
  let from = cursor.at;
  try {
    cursor.nested(() => {
      for (; cursor.at < close; from = cursor.at) readMember(cursor, reader, members);
    });
  } catch (error) {
    if (!(error instanceof Error && error.name === "DeclarationFault")) throw error;
    reader.skipped(from, error.message);
    cursor.at = close + 1;
    return `a member of a structure cannot be read: ${error.message}`;
  }
  if (cursor.at !== close) cursor.at = open, cursor.refuse("a structure has no end");
  cursor.next();
  return members;
}

function readMember(cursor: Cursor, reader: MemberReader, to: DeclaredMember[]): void {
  if (cursor.take(";")) return;
  if (cursor.text === "_Static_assert" || cursor.text === "static_assert") {
    cursor.next();
    cursor.skipGroup();
    return;
  }
  const { type: base, attributes: around } = reader.specifiers();
  if (cursor.text === ";" || cursor.text === "}") {
    cursor.take(";");
    const isAnonymous = (base.kind === "struct" || base.kind === "union") &&
      (base.tag === "" || base.layout !== undefined);
    if (isAnonymous) to.push(memberOf("", base, around, undefined));
    return;
  }
  do {
    const { name, type, attributes } = cursor.text === ":"
      ? { name: "", type: base, attributes: around }
      : reader.declared(base, around);
    let width: number | undefined;
    if (cursor.take(":")) {
      const value = readConstant(cursor, reader);
      if (value === undefined || value < 0n || value > 128n) {
        cursor.refuse(`the bits of ${name || "a member"} are not known`);
      }
      width = Number(value);
      readAttributes(cursor, attributes, reader);
    }
    to.push(memberOf(name, type, attributes, width));
  } while (cursor.take(","));
  if (cursor.text !== "}") cursor.expect(";");
}

function memberOf(
  name: string,
  type: CType,
  { align, packed }: Attributes,
  width: number | undefined,
): DeclaredMember {
  return { name, type, width, align, packed };
}

/** Reads what `offsetof` has in its parentheses; undefined if the member is not known. */
export function readOffsetOf(cursor: Cursor, typeName: () => CType): bigint | undefined {
  const close = cursor.partner();
  cursor.expect("(");
  const type = typeName();
  cursor.expect(",");
  const name = cursor.next();
  const isWhole = cursor.at === close;
  if (close < 0) cursor.refuse('"(" is not closed');
  cursor.at = close + 1;
  if (!isWhole || (type.kind !== "struct" && type.kind !== "union")) return undefined;
  const offset = type.layout?.members.find((member) => member.name === name)?.offset;
  return offset === undefined ? undefined : BigInt(offset);
}
