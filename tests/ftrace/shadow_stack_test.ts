import { assertEquals } from "@std/assert";
import {
  type HiddenReturn,
  hideReturns,
  popDeadAtEntry,
  popDeadAtReturn,
  restoreReturns,
  type ShadowStack,
} from "../../lib/ftrace/returns/shadow_stack.ts";

const HIDDEN = 0x7000n;
type NumberedFrame = HiddenReturn & { readonly site: number };
function stackOf(...frames: [sp: number, returnAddress: bigint][]): ShadowStack<NumberedFrame> {
  return {
    identity: 0,
    frames: frames.map(([sp, returnAddress], site) => ({ site, hook: HIDDEN, returnAddress, sp })),
  };
}
const sites = (frames: readonly NumberedFrame[]) => frames.map(({ site }) => site);

Deno.test("popDeadAtEntry() pops what lies below and what a sibling call has replaced", () => {
  const stack = stackOf([0x1000, 1n], [0xf00, 2n], [0xe00, 3n]);
  assertEquals(sites(popDeadAtEntry(stack, 0xf00, false)), [2, 1]);
  assertEquals(sites(stack.frames), [0]);
});

Deno.test("popDeadAtEntry() keeps the frame that makes a tail call", () => {
  const stack = stackOf([0x1000, 1n], [0xf00, 2n]);
  assertEquals(sites(popDeadAtEntry(stack, 0xf00, true)), []);
  assertEquals(sites(stack.frames), [0, 1]);
});

Deno.test("popDeadAtReturn() keeps the frame that returns", () => {
  const stack = stackOf([0x1000, 1n], [0xf00, 2n], [0xe00, 3n]);
  assertEquals(sites(popDeadAtReturn(stack, 0xf00)), [2]);
  assertEquals(sites(stack.frames), [0, 1]);
});

Deno.test("restoreReturns() puts back the topmost hidden word of each frame and hideReturns() undoes it", () => {
  const stack = stackOf([0x1000, 0x10n], [0xf00, 0x20n]);
  // Each frame's saved ra, and below the first one a stale copy.
  const words = new Map<number, bigint>([[0xff8, HIDDEN], [0xf80, HIDDEN], [0xef0, HIDDEN]]);
  const memory = {
    read: (address: number) => words.get(address) ?? 0n,
    write: (address: number, value: bigint) => void words.set(address, value),
  };
  const restored = restoreReturns(stack.frames, 0xe00, memory);
  assertEquals(words.get(0xff8), 0x10n);
  assertEquals(words.get(0xef0), 0x20n);
  assertEquals(words.get(0xf80), HIDDEN);
  stack.frames.pop();
  hideReturns(stack.frames, restored, memory);
  assertEquals(words.get(0xff8), HIDDEN);
  assertEquals(words.get(0xef0), 0x20n);
});

Deno.test("restoreReturns() gives the shared slot of a tail call the outermost way back", () => {
  const stack = stackOf([0x1000, 0x10n], [0x1000, HIDDEN], [0xf00, 0x30n]);
  const words = new Map<number, bigint>([[0xff8, HIDDEN], [0xef8, HIDDEN]]);
  const memory = {
    read: (address: number) => words.get(address) ?? 0n,
    write: (address: number, value: bigint) => void words.set(address, value),
  };
  restoreReturns(stack.frames, 0xe00, memory);
  assertEquals(words.get(0xff8), 0x10n);
  assertEquals(words.get(0xef8), 0x30n);
});
