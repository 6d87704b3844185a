/**
 * Where a hart has come from: return addresses, innermost first.
 *
 * With frame pointers the chain is walked; a program compiled without them gives its pc and ra, and
 * nothing is made up.
 *
 * @module
 */
import type { Hart } from "../hart/hart.ts";
import { EXECUTE } from "../memory/memory.ts";

const RA = 1;
const SP = 2;
const S0 = 8;
const MOST = 64;

/** The hart's pc and the return addresses behind it. */
export function backtrace(hart: Hart): readonly bigint[] {
  const { memory } = hart;
  const register = (number: number) => BigInt.asUintN(64, hart.x[number]!);
  const executable = (address: bigint) => address !== 0n && memory.allows(address, 2, EXECUTE);
  const found = [hart.pc];
  const ra = register(RA);
  if (executable(ra)) found.push(ra);
  let frame = register(S0);
  let low = register(SP);
  let innermost = true;
  // A frame record is {fp at −16, ra at −8}, and frames go up the stack.
  while (found.length < MOST && frame > low && frame % 8n === 0n) {
    const record = memory.read(frame - 16n, 16);
    if (!record) break;
    const view = new DataView(record.buffer);
    const back = view.getBigUint64(8, true);
    if (!executable(back)) break;
    // The innermost frame may hold what the register still has; others repeat in a recursion.
    if (!innermost || back !== ra) found.push(back);
    innermost = false;
    low = frame;
    frame = view.getBigUint64(0, true);
  }
  return found;
}
