/**
 * How much room a task's shadow stack has, as the kernel counts it.
 *
 * Since Linux 6.11 it is 512 words growing upward: a call takes a frame of four words (return
 * address, function, frame pointer, place of the return address) and one word that links it to the
 * frame below and says who wants its return; data that users keep take their size and one more. The
 * last 16 words hold a variable for each user, and room is refused a frame before them. Older
 * kernels have an array of 50 records. Whoever finds no room is counted (`trace_overrun`).
 *
 * A guest recurses deeper than a kernel does, so the limits can be left out; the frames themselves
 * are `shadow_stack.ts`.
 *
 * @module
 */

/** Words of a task's shadow stack (`SHADOW_STACK_SIZE`). */
export const SHADOW_STACK_WORDS = 512;
/** Words of a frame (`FGRAPH_FRAME_OFFSET`); one more links it. */
export const FGRAPH_FRAME_WORDS = 4;
/** Most words of data that a user keeps with one call (`FGRAPH_MAX_DATA_SIZE`). */
export const FGRAPH_MAX_DATA_WORDS = 32;
/** Users, each with a variable at the stack's end. */
const USERS = 16;
/** The index that nothing reaches (`SHADOW_STACK_MAX_OFFSET`). */
const MAX_OFFSET = SHADOW_STACK_WORDS - (FGRAPH_FRAME_WORDS + 1 + USERS);
/** Records of the kernels before (`FTRACE_RETFUNC_DEPTH`). */
export const FTRACE_RETFUNC_DEPTH = 50;

/** Which kernel's limits hold; `none` leaves room for as many calls as there are. */
export type ShadowLimit = "words" | "records" | "none";

/** The room of all tasks' shadow stacks; a task is named by its hart. */
export interface ShadowRoom {
  /** Takes a frame and gives its words, or undefined and counts the call as lost. */
  push(task: number): number | undefined;
  /** Takes words for data, and gives how many, or undefined if there is no room or they are too many. */
  reserve(task: number, bytes: number): number | undefined;
  /** Gives the words back that a call of a task has taken. */
  release(task: number, words: number): void;
  /** Calls lost so far for want of room. */
  overrun(task: number): number;
}

/** Makes the room of stacks that are empty, under the limits of a kernel. */
export function createShadowRoom(limit: ShadowLimit): ShadowRoom {
  const tasks: { words: number; records: number; overrun: number }[] = [];
  const of = (task: number) => tasks[task] ??= { words: 0, records: 0, overrun: 0 };
  return {
    push(task) {
      const state = of(task);
      const words = FGRAPH_FRAME_WORDS + 1;
      const isFull = limit === "words"
        ? state.words + words >= MAX_OFFSET
        : limit === "records" && state.records >= FTRACE_RETFUNC_DEPTH;
      if (isFull) {
        state.overrun++;
        return undefined;
      }
      state.words += words;
      state.records++;
      return words;
    },
    reserve(task, bytes) {
      const state = of(task);
      const words = Math.ceil(bytes / 8);
      if (words > FGRAPH_MAX_DATA_WORDS) return undefined;
      if (limit === "words" && state.words + words + 1 >= MAX_OFFSET) return undefined;
      state.words += words + 1;
      return words + 1;
    },
    release(task, words) {
      const state = of(task);
      state.words -= words;
      state.records--;
    },
    overrun: (task) => of(task).overrun,
  };
}
