/**
 * Folders for the time of a test.
 *
 * @module
 */

/** Uses an empty folder, by its real path, which is gone afterwards. */
export async function withFolder<Result>(
  use: (folder: string) => Promise<Result> | Result,
): Promise<Result> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    return await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
