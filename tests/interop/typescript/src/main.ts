/** A caller of the wallet service in TypeScript: it does one of each and prints what it saw, a line of JSON a step. */

import { connect } from "./caller.js";
import { Story } from "./story.js";

function told(variable: string): string {
  const value = process.env[variable];
  if (value === undefined) {
    throw new Error(`${variable} is not set`);
  }
  return value;
}

const address = {
  target: told("WALLET_TARGET"),
  caFile: told("WALLET_CA"),
  serverName: process.env["WALLET_SERVER_NAME"],
  policyFile: told("WALLET_SERVICE_CONFIG"),
};
const caller = connect(address, told("WALLET_TOKEN"));
const nameless = connect(address);
try {
  const story = new Story(caller, nameless, told("INTEROP_PREFIX"));
  const all = {
    calls: () => story.calls(),
    refusals: () => story.refusals(),
    replay: () => story.replay(),
    pages: () => story.pages(),
    stream: () => story.stream(told("INTEROP_HISTORY")),
    watch: () => story.watch(),
  };
  const steps = process.argv.length > 2 ? { failover: () => story.failover(process.stdin) } : all;
  for (const [step, take] of Object.entries(steps)) {
    console.log(JSON.stringify({ step, saw: await take() }));
  }
} finally {
  caller.close();
  nameless.close();
}
