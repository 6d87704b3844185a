/**
 * Compiled modules by their bytes, for all machines: the second run of a program writes the same
 * bytes and finds V8's code for them.
 *
 * What a module depends on (words, pc, options, areas, places in host memory) is in its bytes, so
 * equal bytes are all that has to be asked.
 *
 * @module
 */

/** Bytes of modules that are kept, with what each costs V8. */
const BUDGET = 16 * 2 ** 20;
/** Bytes that V8 keeps of a module beyond its code, measured on many small ones. */
export const MODULE_COST = 6_000;

interface KeptModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly module: WebAssembly.Module;
}

/** Modules by a hash of their bytes, the one that was asked for last at the end. */
const kept = new Map<number, KeptModule>();
let used = 0;

/** The module of these bytes, which is compiled if it is not kept. */
export function moduleOf(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  const key = hashOf(bytes);
  const found = kept.get(key);
  if (found) {
    kept.delete(key);
    if (isSame(found.bytes, bytes)) {
      kept.set(key, found);
      return found.module;
    }
    used -= found.bytes.length + MODULE_COST;
  }
  const module = new WebAssembly.Module(bytes);
  kept.set(key, { bytes, module });
  used += bytes.length + MODULE_COST;
  for (const [oldest, { bytes: { length } }] of kept) {
    if (used <= BUDGET) break;
    kept.delete(oldest);
    used -= length + MODULE_COST;
  }
  return module;
}

/** FNV-1a, of 32 bits. */
function hashOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < bytes.length; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return hash >>> 0;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}
