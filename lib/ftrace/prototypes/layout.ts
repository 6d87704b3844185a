/**
 * Where the members of a structure are (RISC-V psABI, "C/C++ type sizes and alignments" and
 * bit-fields as gcc lays them out).
 *
 * @module
 */
import { alignOf, type CLayout, type CMember, type CStruct, type CType, sizeOf } from "./ctype.ts";

/** A member as it is declared. */
export interface DeclaredMember {
  /** Name of the member; empty if it has none. */
  readonly name: string;
  /** Type of the member. */
  readonly type: CType;
  /** Bits of a bit-field; undefined of any other member. */
  readonly width: number | undefined;
  /** Least alignment that an attribute of the member asks for. */
  readonly align: number | undefined;
  /** Whether an attribute packs the member. */
  readonly packed: boolean;
}

/** How a structure is laid out as a whole. */
export interface LayoutRules {
  /** What it is. */
  readonly kind: CStruct["kind"];
  /** Whether members stand without gaps. */
  readonly packed: boolean;
  /** Least alignment that an attribute asks for. */
  readonly align: number | undefined;
  /** Most alignment that `#pragma pack` gives a member, 0 for any. */
  readonly most: number;
}

/** Lays members out; what cannot be laid out is a member of unknown size, and its name is given. */
export function layoutOf(
  declared: readonly DeclaredMember[],
  rules: LayoutRules,
): CLayout | { readonly unknown: DeclaredMember } {
  const place = new Placement(rules);
  for (const [n, member] of declared.entries()) {
    const known = place.add(member, n === declared.length - 1);
    if (!known) return { unknown: member };
  }
  return place.end();
}

class Placement {
  readonly #rules: LayoutRules;
  readonly #members: CMember[] = [];
  #align = 1;
  /** Bits so far; of a union those of its greatest member. */
  #bits = 0;

  constructor(rules: LayoutRules) {
    this.#rules = rules;
  }

  /** Places a member; false if its size is not known. */
  add(member: DeclaredMember, isLast: boolean): boolean {
    const { type } = member;
    const isFlexible = isLast && type.kind === "array" && type.count === undefined;
    const size = isFlexible ? 0 : sizeOf(type);
    const natural = alignOf(type);
    if (size === undefined || natural === undefined) return false;
    if (member.width !== undefined) this.#bitField(member, member.width, size, natural);
    else this.#plain(member, size, natural);
    return true;
  }

  end(): CLayout {
    const align = Math.max(this.#align, this.#rules.align ?? 1);
    const size = roundUp(Math.ceil(this.#bits / 8), align);
    return { members: this.#members, size, align };
  }

  /** Alignment of a member under the attributes and pragmas around it. */
  #alignment({ align = 1, packed }: DeclaredMember, natural: number): number {
    const isPacked = packed || this.#rules.packed;
    const wanted = Math.max(isPacked ? 1 : natural, align);
    const { most } = this.#rules;
    return most > 0 ? Math.min(wanted, most) : wanted;
  }

  #start(align: number): number {
    return this.#rules.kind === "union" ? 0 : roundUp(this.#bits, 8 * align);
  }

  #plain(member: DeclaredMember, size: number, natural: number): void {
    const align = this.#alignment(member, natural);
    const start = this.#start(align);
    this.#align = Math.max(this.#align, align);
    this.#bits = Math.max(this.#bits, start + 8 * size);
    this.#members.push({ name: member.name, type: member.type, offset: start / 8 });
  }

  #bitField(member: DeclaredMember, width: number, size: number, natural: number): void {
    const { name, type, align: asked } = member;
    if (width === 0) {
      // It only ends the unit of the one before.
      if (this.#rules.kind === "struct") this.#bits = this.#start(Math.max(natural, asked ?? 1));
      return;
    }
    // Under a pragma of any number bit-fields stand one behind the other.
    const isPacked = member.packed || this.#rules.packed || this.#rules.most > 0;
    let start = this.#rules.kind === "union" ? 0 : this.#bits;
    if (asked !== undefined) start = roundUp(start, 8 * asked);
    const unit = 8 * natural;
    const last = start + width - 1;
    const crosses = Math.floor(start / unit) !== Math.floor(last / unit) &&
      Math.floor(last / unit) - Math.floor(start / unit) >= (8 * size) / unit;
    if (!isPacked && crosses) start = roundUp(start, unit);
    if (name !== "") {
      // Where a pragma says how much, packing does not make it less.
      const { most } = this.#rules;
      const align = most > 0
        ? Math.min(Math.max(natural, asked ?? 1), most)
        : this.#alignment(member, natural);
      this.#align = Math.max(this.#align, align);
    }
    this.#bits = Math.max(this.#bits, start + width);
    this.#members.push({ name, type, offset: start >> 3, bits: { width, start } });
  }
}

function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
