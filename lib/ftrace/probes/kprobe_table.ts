/**
 * The kprobes of one machine: which are registered, and at which address each group of them is.
 *
 * Several probes share an address (`struct kprobe`'s aggregate): one breakpoint, or one ftrace site.
 * A registered probe has a record of its own beside its owner's object, which is never written to.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { SymbolTable } from "../../program/symbols.ts";
import { addressKey } from "../ops/record_table.ts";
import type { Kprobe, ProbePlace } from "./kprobe.ts";

/** What `kprobes/list` calls a probe: `r` is the one at the entry of a function that a kretprobe is on. */
export type ProbeKind = "k" | "r";

/** What is kept of one registered probe. */
export interface PlacedKprobe {
  /** The probe itself, its owner's object. */
  readonly kp: Kprobe;
  /** Whether the probe is somebody's own or a kretprobe's. */
  readonly kind: ProbeKind;
  /** The point of the probe: all probes of its address. */
  readonly point: ProbePoint;
  /** Whether the probe is not to be armed. */
  disabled: boolean;
  /** How often the probe was hit so far. */
  nhit: number;
  /** How many hits of the probe were not served. */
  nmissed: number;
}

/** All probes of one address. */
export interface ProbePoint {
  /** How the probes of the address are placed. */
  readonly place: ProbePlace;
  /** Newest first, as the kernel's list is. */
  probes: readonly PlacedKprobe[];
  /** The bytes that the breakpoint replaces; as they were when the first probe was registered. */
  readonly original: Uint8Array;
  /** Whether a hart that comes to the address is stopped for the probes. */
  armed: boolean;
  /** Address of the slot that the instruction is stepped in; undefined if it needs none. */
  slot: number | undefined;
}

const KPROBE_HASH_BITS = 6n;
const GOLDEN_RATIO_64 = 0x61c8864680b583ebn;

/** Order of `kprobe_table`: the bucket that an address hashes to (`hash_ptr` of six bits). */
export function kprobeBucket(address: bigint): number {
  return Number(BigInt.asUintN(64, address * GOLDEN_RATIO_64) >> (64n - KPROBE_HASH_BITS));
}

/** Which probes are where, and on which harts their handlers run. */
export class KprobeTable {
  /** Harts whose probe's handlers run (`current_kprobe`): what they hit is missed. */
  readonly running: Set<Hart> = new Set();
  /** In the order of `kprobe_table`'s chains: newest first. */
  #points: readonly ProbePoint[] = [];
  readonly #byAddress = new Map<number, ProbePoint>();
  readonly #placed = new Map<Kprobe, PlacedKprobe>();
  readonly #symbols: SymbolTable;

  /** Starts without probes; `symbols` names their places. */
  constructor(symbols: SymbolTable) {
    this.#symbols = symbols;
  }

  /** All points that have probes, the newest first. */
  get points(): readonly ProbePoint[] {
    return this.#points;
  }

  /** The point at an address, or undefined. */
  at(address: bigint): ProbePoint | undefined {
    return this.#byAddress.get(addressKey(address));
  }

  /** What is kept of a registered probe, or undefined. */
  of(kp: Kprobe): PlacedKprobe | undefined {
    return this.#placed.get(kp);
  }

  /** Adds a point that has no probe yet. */
  addPoint(point: ProbePoint): void {
    this.#points = [point, ...this.#points];
    this.#byAddress.set(addressKey(point.place.address), point);
  }

  /** Adds a probe to its point. */
  add(placed: PlacedKprobe): void {
    placed.point.probes = [placed, ...placed.point.probes];
    this.#placed.set(placed.kp, placed);
  }

  /** Removes a probe, and its point with the last one; true if the point has gone. */
  forget(placed: PlacedKprobe): boolean {
    const { point } = placed;
    if (this.#placed.get(placed.kp) === placed) this.#placed.delete(placed.kp);
    point.probes = point.probes.filter((each) => each !== placed);
    if (point.probes.length > 0) return false;
    this.#points = this.#points.filter((each) => each !== point);
    this.#byAddress.delete(addressKey(point.place.address));
    return true;
  }

  /** `name+0x8`: where a point is, in words. */
  nameOf({ place: { address } }: ProbePoint): string {
    const found = this.#symbols.at(address)!;
    return `${found.symbol.name}+0x${found.offset.toString(16)}`;
  }

  /** `/sys/kernel/debug/kprobes/list`, in the order of the kernel's hash table. */
  list(): string {
    const ordered = this.#points.map((point) => ({
      point,
      bucket: kprobeBucket(point.place.address),
    })).sort((a, b) => a.bucket - b.bucket);
    return ordered.flatMap(({ point }) => point.probes.map((each) => this.#line(each))).join("");
  }

  #line({ point, kind, disabled }: PlacedKprobe): string {
    const address = point.place.address.toString(16).padStart(16, "0");
    const marks = (disabled ? "[DISABLED]" : "") + (point.place.record ? "[FTRACE]" : "");
    // The third column is the module's name, which the kernel has not for itself.
    return `${address}  ${kind}  ${this.nameOf(point)}    ${marks}\n`;
  }
}
