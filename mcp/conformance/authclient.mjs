// What an OAuth client of the protocol, the TypeScript SDK's own, finds out from the door. It prints a JSON object of names to
// "" or to what is wrong. Arguments: URL of the door, the token of a caller who lacks a scope, directory of the SDK.
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const [url, token, sdk] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(join(sdk, "dist", "esm", "client", name)).href);
const { discoverOAuthProtectedResourceMetadata, extractWWWAuthenticateParams } = await load("auth.js");
const { StreamableHTTPClientTransport } = await load("streamableHttp.js");
const { Client } = await load("index.js");

const found = {};
async function check(name, f) {
  try { found[name] = (await f()) || ""; } catch (e) { found[name] = String(e?.message ?? e); }
}
const differs = (what, got, want) => JSON.stringify(got) === JSON.stringify(want) ? "" : `${what}: ${JSON.stringify(got)}, not ${JSON.stringify(want)}`;
const origin = new URL(url).origin;
const post = (headers) => fetch(url, { method: "POST", body: "{}", headers: { "Content-Type": "application/json", ...headers } });

// provider is a client that is registered beforehand and stops where a person would log in.
function provider(tokens) {
  return {
    redirectUrl: "http://127.0.0.1/callback", clientMetadata: { redirect_uris: ["http://127.0.0.1/callback"] },
    clientInformation: () => ({ client_id: "https://client.example/metadata.json" }), tokens: () => tokens, saveTokens() {}, saveCodeVerifier() {}, codeVerifier: () => "v",
    redirectToAuthorization(to) { this.went = to; },
  };
}
async function connect(tokens, use) {
  const p = provider(tokens);
  const client = new Client({ name: "suite", version: "1" });
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: p });
  try { await client.connect(transport); await use(client); } catch (e) { p.error = e; }
  await client.close().catch(() => {});
  return p;
}

await check("metadata-default", async () => {
  const m = await discoverOAuthProtectedResourceMetadata(url);
  return differs("resource", m.resource, url) || differs("bearer_methods_supported", m.bearer_methods_supported, ["header"]) || (m.authorization_servers?.length ? "" : "no authorization server");
});
await check("metadata-var1", async () => differs("resource", (await (await fetch(origin + "/.well-known/oauth-protected-resource")).json()).resource, url));
await check("metadata-from-www-authenticate", async () => {
  const r = await post({});
  const { resourceMetadataUrl } = extractWWWAuthenticateParams(r);
  const m = await discoverOAuthProtectedResourceMetadata(url, { resourceMetadataUrl });
  return differs("status", r.status, 401) || differs("resource", m.resource, url);
});
await check("scope-from-www-authenticate", async () => differs("scope", extractWWWAuthenticateParams(await post({})).scope, "db:read"));
await check("scope-from-scopes-supported", async () => differs("scopes", (await discoverOAuthProtectedResourceMetadata(url)).scopes_supported, ["db:read", "db:write"]));
await check("resource-and-scope-asked-for", async () => {
  const p = await connect(undefined, async () => {});
  if (!p.went) return `never sent to log in: ${p.error?.message}`;
  return differs("resource", p.went.searchParams.get("resource"), url) || differs("scope", p.went.searchParams.get("scope"), "db:read");
});
await check("invalid-token", async () => {
  const r = await post({ Authorization: "Bearer made-up" });
  return differs("status", r.status, 401) || differs("error", extractWWWAuthenticateParams(r).error, "invalid_token");
});
await check("token-in-query", async () => differs("status", (await fetch(`${url}?access_token=${token}`, { method: "POST", body: "{}" })).status, 401));
await check("scope-step-up", async () => {
  const p = await connect({ access_token: token, token_type: "Bearer" }, (c) => c.callTool({ name: "lacks_scope", arguments: {} }));
  if (!p.went) return `never sent to log in: ${p.error?.message}`;
  return differs("scope", p.went.searchParams.get("scope"), "db:read db:write") || differs("resource", p.went.searchParams.get("resource"), url);
});
console.log(JSON.stringify(found));
