// A token server: gives tokens of client credentials, and says of tokens that they are the mailbox's.
// A line on standard input ends all tokens: until one is given again, no token is good.
//
// node tests/peers/mail/tokens.mjs PORT USER FOLDER_OF_MODULES
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [port, user, modules] = process.argv.slice(2);
const { OAuth2Server } = await import(pathToFileURL(`${modules}/oauth2-mock-server/dist/index.mjs`));
const server = new OAuth2Server();
await server.issuer.keys.generate('RS256');
let good = false;
let given = 0;
server.service.on('beforeTokenSigning', (token) => {
  token.payload.jti = `token-${given}`;
});
server.service.on('beforeResponse', (answer, request) => {
  if (request.body.client_secret !== 'an-app-secret') {
    answer.statusCode = 401;
    answer.body = { error: 'invalid_client', error_description: 'wrong secret' };
    return;
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
