/** A caller of the wallet service in TypeScript: it does one of each and prints what it saw, a line of JSON a step. */

import { connect } from "./caller.js";
import { Story } from "./story.js";

function setting(variable: string): string {
  const value = process.env[variable];
  if (value === undefined) {
    throw new Error(`${variable} is not set`);
  }
  return value;
}

const address = {
  target: setting("WALLET_TARGET"),
  caFile: setting("WALLET_CA"),
  serverName: process.env["WALLET_SERVER_NAME"],
  policyFile: setting("WALLET_SERVICE_CONFIG"),
};
const caller = connect(address, setting("WALLET_TOKEN"));
const nameless = connect(address);
try {
  const story = new Story(caller, nameless, setting("INTEROP_PREFIX"));
  const all = {
    calls: () => story.calls(),
    refusals: () => story.refusals(),
    replay: () => story.replay(),
    pages: () => story.pages(),
    stream: () => story.stream(setting("INTEROP_HISTORY")),
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
