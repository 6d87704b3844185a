/**
 * The library on other hosts: Node 22 and 24, Bun, and a page in a browser. Each runs the embedded
 * sample under the graph tracer, and its text is Deno's.
 *
 * The hosts come from npm, in a folder that is removed again; the browser is Debian's chromium.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { missingTool } from "../program/elf_oracle.ts";
import { sampleGraph } from "./sample_graph.ts";
import { withFolder } from "../folder.ts";

const LONG = Deno.env.has("HARTRACE_LONG");
const SAMPLE = new URL("./sample_graph.ts", import.meta.url).href;
const decoder = new TextDecoder();

/** Runs a command; gives what it printed. @throws {Error} If it failed, with what it said. */
async function output(command: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args }).output();
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** Bundles a module that `source` is the text of, with {@linkcode sampleGraph} in it. */
async function bundle(folder: string, source: string): Promise<string> {
  const entry = `${folder}/entry.ts`, bundled = `${folder}/bundle.mjs`;
  await Deno.writeTextFile(entry, `import { sampleGraph } from "${SAMPLE}";\n${source}`);
  const config = fromFileUrl(new URL("../../deno.json", import.meta.url));
  const how = ["--quiet", "--no-lock", "--platform", "browser", "--config", config];
  await output(Deno.execPath(), "bundle", ...how, "-o", bundled, entry);
  return bundled;
}

/** Says why, where packages from npm bring no program for this machine. */
function noProgramHere(): boolean {
  const { target } = Deno.build;
  if (target === "x86_64-unknown-linux-gnu") return false;
  const line = `npm's hosts are for x86_64 Linux: their tests are skipped on ${target}\n`;
  Deno.stderr.writeSync(new TextEncoder().encode(line));
  return true;
}

/** Where a package from npm keeps the host that it brings. */
const HOSTS = [
  { name: "Node 22", npm: "node@22", program: "node_modules/node/bin/node" },
  { name: "Node 24", npm: "node@24", program: "node_modules/node/bin/node" },
  {
    name: "Bun",
    npm: "@oven/bun-linux-x64@1",
    program: "node_modules/@oven/bun-linux-x64/bin/bun",
  },
] as const;

for (const { name, npm, program } of HOSTS) {
  Deno.test({
    name: `the library gives the same trace under ${name} (needs npm)`,
    ignore: !LONG || noProgramHere() || await missingTool("npm"),
    fn: () =>
      withFolder(async (folder) => {
        await output("npm", "install", "--silent", "--no-save", "--prefix", folder, npm);
        const bundled = await bundle(folder, "console.log(await sampleGraph());");
        assertEquals(await output(`${folder}/${program}`, bundled), `${await sampleGraph()}\n`);
      }),
  });
}

Deno.test({
  name: "the library gives the same trace in a browser's page (needs chromium)",
  ignore: !LONG || await missingTool("chromium"),
  fn: () =>
    withFolder(async (folder) => {
      const show = "document.body.textContent = await sampleGraph().catch(String);";
      const script = await Deno.readTextFile(await bundle(folder, show));
      const html = "<!doctype html><meta charset=utf-8><body></body>" +
        "<script type=module src=/page.js></script>";
      const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
        const isScript = new URL(request.url).pathname === "/page.js";
        const type = isScript ? "text/javascript" : "text/html";
        return new Response(isScript ? script : html, { headers: { "content-type": type } });
      });
      try {
        const page = await output(
          "chromium",
          ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
          ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
          `--user-data-dir=${folder}/profile`,
          "--virtual-time-budget=30000",
          "--dump-dom",
          `http://127.0.0.1:${server.addr.port}/`,
        );
        const [, body] = /<body>([^]*)<\/body>/.exec(page) ?? [];
        assert(body !== undefined, page);
        const text = body.replace(/<script[^]*<\/script>/, "").replaceAll("&lt;", "<")
          .replaceAll("&gt;", ">").replaceAll("&amp;", "&");
        assertMatch(text, /# tracer: function_graph/);
        assertEquals(text.trimEnd(), (await sampleGraph()).trimEnd());
      } finally {
        await server.shutdown();
      }
    }),
});
