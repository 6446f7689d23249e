// A token server: gives tokens for client credentials and for refresh tokens, each of which is good
// for one use, and says of tokens that they are the mailbox's.
// A line on standard input ends all tokens: until one is given again, no token is good.
//
// node tests/peers/mail/tokens.mjs PORT USER FOLDER_OF_MODULES FIRST_REFRESH_TOKEN
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [port, user, modules, first] = process.argv.slice(2);
const { OAuth2Server } = await import(pathToFileURL(`${modules}/oauth2-mock-server/dist/index.mjs`));
const server = new OAuth2Server();
await server.issuer.keys.generate('RS256');
let good = false;
let given = 0;
let refresh = first;
server.service.on('beforeTokenSigning', (token) => {
  token.payload.jti = `token-${given}`;
});
server.service.on('beforeResponse', (answer, request) => {
  if (request.body.client_secret !== 'an-app-secret') {
    answer.statusCode = 401;
    answer.body = { error: 'invalid_client', error_description: 'wrong secret' };
    return;
  }
  if (request.body.grant_type === 'refresh_token') {
    if (request.body.refresh_token !== refresh) {
      answer.statusCode = 400;
      answer.body = { error: 'invalid_grant', error_description: 'used before' };
      return;
    }
    refresh = answer.body.refresh_token;
  }
  given += 1;
  good = true;
});
server.service.on('beforeIntrospect', (answer) => {
  answer.statusCode = 200;
  answer.body = good ? { active: true, username: user } : { active: false };
});
await server.start(Number(port), '127.0.0.1');
console.log('listening');
for await (const _ of createInterface({ input: process.stdin })) {
  good = false;
  console.log(given);
}
process.exit(0);
