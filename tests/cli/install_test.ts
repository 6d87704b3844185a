/**
 * What a newcomer does: runs and installs the command line where nothing is cached, from a checkout
 * and from URLs, as JSR serves a package.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";

const ROOT = new URL("../../", import.meta.url);
const TRACE = fromFileUrl(new URL("trace.ts", ROOT));

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Folders of a person who has just got Deno. */
class Newcomer {
  readonly folder = Deno.makeTempDirSync();

  constructor() {
    for (const name of ["home", "cache", "work"]) Deno.mkdirSync(`${this.folder}/${name}`);
  }

  /** Runs a command in the empty folder `work`, or in `cwd`. */
  async run(command: string, args: readonly string[], cwd?: string): Promise<Finished> {
    const bin = fromFileUrl(new URL(".", `file://${Deno.execPath()}`));
    const { code, stdout, stderr } = await new Deno.Command(command, {
      args: [...args],
      cwd: cwd ?? `${this.folder}/work`,
      env: {
        HOME: `${this.folder}/home`,
        DENO_DIR: `${this.folder}/cache`,
        DENO_INSTALL_ROOT: `${this.folder}/home/.deno`,
        DENO_NO_UPDATE_CHECK: "1",
        NO_COLOR: "1",
        PATH: `${bin}:${Deno.env.get("PATH")}`,
      },
    }).output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

const PLUGIN = `export default {
  name: "coins",
  init(ftrace) {
    return ftrace.attach("common_coin", { onLeave: (_, { value }) => ftrace.print("coin " + value) });
  },
};
`;

function assertSample({ code, stdout, stderr }: Finished): void {
  assertEquals(code, 0, stderr);
  assertMatch(stdout, /^total 1350, .*\n(?:.*\n)* 0\) .*tiny_main\(\) \{\n/);
}

Deno.test("trace.ts imports nothing but files of the package and built-in modules", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", TRACE],
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
    modules: { specifier: string; error?: string }[];
  };
  const others = modules.filter(({ specifier, error }) => {
    const path = specifier.slice(ROOT.href.length);
    const ours = specifier.startsWith(ROOT.href) && /^(?:(?:lib|plugins)\/|mod|trace)/.test(path);
    return error !== undefined || !(ours || specifier.startsWith("node:"));
  });
  assert(modules.length > 100);
  assertEquals(others, []);
});

Deno.test("trace.ts runs with an empty cache and downloads nothing", async () => {
  using newcomer = new Newcomer();
  const args = ["run", "-A", "--cached-only", "trace.ts", "-q"];
  const result = await newcomer.run(Deno.execPath(), args, fromFileUrl(ROOT));
  assertSample(result);
  assertEquals(result.stderr, "");
  assertEquals(
    [...Deno.readDirSync(`${newcomer.folder}/cache`)].filter(({ name }) =>
      name === "npm" && [...Deno.readDirSync(`${newcomer.folder}/cache/npm`)].length > 0
    ),
    [],
  );
});

Deno.test("deno install makes a command of trace.ts that runs in any folder", async () => {
  using newcomer = new Newcomer();
  const install = ["install", "-gAn", "hartrace", "trace.ts"];
  const installed = await newcomer.run(Deno.execPath(), install, fromFileUrl(ROOT));
  assertEquals(installed.code, 0, installed.stderr);
  const hartrace = `${newcomer.folder}/home/.deno/bin/hartrace`;
  assertSample(await newcomer.run(hartrace, ["-q"]));
  Deno.writeTextFileSync(`${newcomer.folder}/work/mine.ts`, PLUGIN);
  const { stdout, stderr } = await newcomer.run(hartrace, ["-q", "--plugin", "mine.ts"]);
  assertMatch(stdout, /^coin 9$/m, stderr);
  const hist = await newcomer.run(hartrace, ["-q", "-p", "hist"]);
  assertMatch(hist.stdout, /\|#{40}\|/, hist.stderr);
});

/** Serves what would be published, and nothing else, for the time of `use`. */
async function served(use: (origin: string) => Promise<void>): Promise<void> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["publish", "--dry-run", "--allow-dirty", "--no-check"],
    cwd: fromFileUrl(ROOT),
    env: { NO_COLOR: "1" },
  }).output();
  const listed = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  const files = [...listed.matchAll(/^ +(file:\S+) \(/gm)].map(([, url]) => url!);
  assert(files.length > 100, listed);
  const served = new Set(files.map((url) => url.slice(ROOT.href.length - 1)));
  const server = Deno.serve({ port: 0, onListen() {} }, async ({ url }) => {
    const { pathname } = new URL(url);
    if (!served.has(pathname)) return new Response("no such file", { status: 404 });
    const kind = pathname.endsWith(".json") ? "json" : "typescript";
    const headers = { "content-type": `application/${kind}` };
    return new Response(await Deno.readFile(new URL(`.${pathname}`, ROOT)), { headers });
  });
  try {
    await use(`http://localhost:${server.addr.port}`);
  } finally {
    await server.shutdown();
  }
}

Deno.test("trace.ts runs from the URLs of the published files, with a plugin that is a file", () =>
  served(async (origin) => {
    using newcomer = new Newcomer();
    Deno.writeTextFileSync(`${newcomer.folder}/work/mine.ts`, PLUGIN);
    const run = ["run", "-A", `${origin}/trace.ts`, "-q"];
    assertSample(await newcomer.run(Deno.execPath(), run));
    const traced = await newcomer.run(Deno.execPath(), [...run, "--plugin", "mine.ts"]);
    assertMatch(traced.stdout, /^coin 9$/m, traced.stderr);
  }));
