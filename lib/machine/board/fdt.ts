/**
 * A flattened device tree: nodes and properties as the bytes that firmware is handed (Devicetree
 * Specification 0.4, chapter 5).
 *
 * What stands in a board's tree is `device_tree.ts`.
 *
 * @module
 */
import type { TreeProperty } from "./device.ts";

/** A node: its name with its unit address, its properties, and the nodes in it, in order. */
export interface TreeNode {
  /** The name, such as `serial@10000000`; empty for the root. */
  readonly name: string;
  /** The properties by name. */
  readonly properties: Readonly<Record<string, TreeProperty>>;
  /** The nodes in this one. */
  readonly nodes?: readonly TreeNode[] | undefined;
}

const MAGIC = 0xd00dfeed, VERSION = 17, COMPATIBLE_VERSION = 16;
const BEGIN_NODE = 1, END_NODE = 2, PROPERTY = 3, END = 9;
/** Ten words of header, then one empty entry of reserved memory. */
const HEADER = 40, RESERVATIONS = 16;

const encoder = new TextEncoder();

/** The tree under `root` as a blob, whose size is a multiple of 8 bytes. */
export function flattenTree(root: TreeNode): Uint8Array {
  const strings = new NameTable();
  const structure = new ByteWriter();
  writeNode(structure, strings, root);
  structure.word(END);
  const names = strings.bytes();
  const at = { structure: HEADER + RESERVATIONS, names: HEADER + RESERVATIONS + structure.length };
  const size = Math.ceil((at.names + names.length) / 8) * 8;
  const header = [
    ...[MAGIC, size, at.structure, at.names, HEADER, VERSION, COMPATIBLE_VERSION],
    ...[0, names.length, structure.length],
  ];
  const blob = new Uint8Array(size);
  const view = new DataView(blob.buffer);
  header.forEach((value, k) => view.setUint32(4 * k, value));
  blob.set(structure.bytes(), at.structure);
  blob.set(names, at.names);
  return blob;
}

function writeNode(to: ByteWriter, strings: NameTable, node: TreeNode): void {
  to.word(BEGIN_NODE);
  to.padded(encoder.encode(`${node.name}\0`));
  for (const [name, property] of Object.entries(node.properties)) {
    const value = bytesOf(property);
    to.word(PROPERTY);
    to.word(value.length);
    to.word(strings.offset(name));
    to.padded(value);
  }
  for (const each of node.nodes ?? []) writeNode(to, strings, each);
  to.word(END_NODE);
}

/** A property's value: big-endian cells, or texts that each end in a zero byte. */
function bytesOf(property: TreeProperty): Uint8Array {
  const value = new ByteWriter();
  for (const each of property) {
    if (typeof each === "number") value.word(each);
    else value.raw(encoder.encode(`${each}\0`));
  }
  return value.bytes();
}

/** Bytes that are written one behind the other. */
class ByteWriter {
  readonly #bytes: number[] = [];

  get length(): number {
    return this.#bytes.length;
  }

  word(value: number): void {
    this.#bytes.push(value >>> 24, value >>> 16 & 0xff, value >>> 8 & 0xff, value & 0xff);
  }

  raw(bytes: Uint8Array): void {
    this.#bytes.push(...bytes);
  }

  /** Bytes, and zeros up to the next word. */
  padded(bytes: Uint8Array): void {
    this.raw(bytes);
    while (this.length % 4 !== 0) this.#bytes.push(0);
  }

  bytes(): Uint8Array {
    return new Uint8Array(this.#bytes);
  }
}

/** The names of properties, each once. */
class NameTable {
  readonly #offsets = new Map<string, number>();
  readonly #text = new ByteWriter();

  offset(name: string): number {
    const known = this.#offsets.get(name);
    if (known !== undefined) return known;
    const offset = this.#text.length;
    this.#offsets.set(name, offset);
    this.#text.raw(encoder.encode(`${name}\0`));
    return offset;
  }

  bytes(): Uint8Array {
    return this.#text.bytes();
  }
}
