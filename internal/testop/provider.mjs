// node's oidc-provider with the clients and people of testop. argv: folder of node_modules, JSON of what is wished for.
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const [modules, wished] = process.argv.slice(-2);
const wish = JSON.parse(wished);
const { Provider } = await import(pathToFileURL(`${modules}/oidc-provider/lib/index.js`));

function key() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg: 'ES256', use: 'sig' };
}

const people = wish.groups;
let keys = [key()];
let issuer;
let app;

function configuration() {
  const common = { id_token_signed_response_alg: 'ES256' };
  return {
    jwks: { keys },
    // Its own refuses loopback, where the gateway is.
    fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }),
    cookies: { keys: ['only in tests'] },
    clients: [
      { ...common, client_id: 'gateway', client_secret: wish.webSecret, redirect_uris: [wish.callback], response_types: ['code'], grant_types: ['authorization_code'],
        ...(wish.backChannel ? { backchannel_logout_uri: wish.backChannel, backchannel_logout_session_required: true } : {}) },
      { ...common, client_id: 'app', client_secret: wish.appSecret, redirect_uris: [wish.appCallback], response_types: ['code'], grant_types: ['authorization_code', 'refresh_token'] },
      { ...common, client_id: 'command', token_endpoint_auth_method: 'none', application_type: 'native', redirect_uris: [issuer.replace('http://', 'http://127.0.0.1/callback/')], response_types: ['code'],
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'] },
      { ...common, client_id: 'bot', client_secret: wish.botSecret, redirect_uris: [], response_types: [], grant_types: ['client_credentials'] },
    ],
    scopes: ['openid', 'offline_access', 'profile', 'email', 'groups', 'read', 'write'],
    claims: { openid: ['sub', 'groups'], profile: ['preferred_username'], email: ['email', 'email_verified'], groups: ['groups'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, preferred_username: id, email: `${id}@example.com`, email_verified: true, groups: people[id] }) }),
    extraTokenClaims: (ctx, token) => (token.accountId ? { groups: people[token.accountId], preferred_username: token.accountId } : undefined),
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    issueRefreshToken: (ctx, client, code) => client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
    rotateRefreshToken: true,
    ttl: { AccessToken: 3600, ClientCredentials: 3600, IdToken: 3600, Session: 3600, Interaction: 600, Grant: 3600, DeviceCode: 600, RefreshToken: 3600 },
    features: {
      devInteractions: { enabled: false },
      deviceFlow: { enabled: true },
      clientCredentials: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource) => ({ scope: 'read write', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 3600, jwt: { sign: { alg: 'ES256' } } }),
      },
    },
  };
}

function start() {
  app = new Provider(issuer, configuration());
  app.on('server_error', (ctx, err) => console.error(err));
  app.on('backchannel.error', (ctx, err) => console.error(err));
}

// interact shows a form to whoever is not logged in, and agrees to everything.
async function interact(req, res) {
  const details = await app.interactionDetails(req, res);
  if (details.prompt.name === 'login') {
    if (req.method !== 'POST') {
      res.setHeader('Content-Type', 'text/html');
      res.end(`<form method="post" action="${req.url}"><input name="login"><input name="password" type="password"></form>`);
      return;
    }
    let body = '';
    for await (const chunk of req) body += chunk;
    const form = new URLSearchParams(body);
    if (!people[form.get('login')] || form.get('password') !== wish.password) {
      res.statusCode = 403;
      res.end('no');
      return;
    }
    await app.interactionFinished(req, res, { login: { accountId: form.get('login'), amr: ['pwd'] } });
    return;
  }
  const { prompt: { details: missing }, params, session: { accountId }, grantId } = details;
  const grant = grantId ? await app.Grant.find(grantId) : new app.Grant({ accountId, clientId: params.client_id });
  if (missing.missingOIDCScope) grant.addOIDCScope(missing.missingOIDCScope.join(' '));
  if (missing.missingOIDCClaims) grant.addOIDCClaims(missing.missingOIDCClaims);
  for (const [resource, scopes] of Object.entries(missing.missingResourceScopes ?? {})) grant.addResourceScope(resource, scopes.join(' '));
  await app.interactionFinished(req, res, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
}

const server = createServer(async (req, res) => {
  try {
    if (req.url.startsWith('/control/rotate')) {
      keys = req.url.endsWith('keep') ? [key(), ...keys] : [key()];
      start();
      res.end('rotated');
    } else if (req.url.startsWith('/interaction/')) {
      await interact(req, res);
    } else {
      app.callback()(req, res);
    }
  } catch (err) {
    console.error(err);
    res.statusCode = 500;
    res.end(String(err));
  }
});
server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  start();
  console.log(JSON.stringify({ issuer }));
});
process.stdin.on('close', () => process.exit(0)).resume();
