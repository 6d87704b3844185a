/**
 * Events of several harts in the order of their times.
 *
 * Each hart's own are in order already; of two with one time the hart with the lower number is first.
 *
 * @module
 */

/** Merges streams, of which each is in order. */
export function* mergeByTime<Event extends { readonly time: bigint }>(
  streams: readonly Iterator<Event>[],
): Generator<Event> {
  const heads = streams.map((stream) => stream.next());
  if (heads.length === 1) {
    for (let head = heads[0]!; !head.done; head = streams[0]!.next()) yield head.value;
    return;
  }
  for (;;) {
    let first = -1;
    for (let k = 0; k < heads.length; k++) {
      const head = heads[k]!;
      if (head.done) continue;
      if (first < 0 || head.value.time < (heads[first]!.value as Event).time) first = k;
    }
    if (first < 0) return;
    yield heads[first]!.value as Event;
    heads[first] = streams[first]!.next();
  }
}
