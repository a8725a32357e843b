// The reference's load test: what a game platform's load looked like when the
// service that purser replaces was measured, so that both can be compared.
//
// Every virtual user repeats, without a pause: read a balance, then redeem a fresh
// session token. A user waits for each answer before it goes on, so the number of
// users is the number of requests in flight.
//
// Runs on k6 1.x and 2.x; loads nothing from the network. How to run it, and every
// variable: loadtest/README.md.

import encoding from 'k6/encoding';
import exec from 'k6/execution';
import http from 'k6/http';
import { check, group } from 'k6';
import { SharedArray } from 'k6/data';

const VUS = Number(__ENV.VUS || 100);
const DURATION = __ENV.DURATION || '60s';
const BASE_URL = (__ENV.BASE_URL || 'http://127.0.0.1:9816').replace(/\/+$/, '');
const USERNAME = __ENV.USERNAME || 'demo';
const PASSWORD = __ENV.PASSWORD || 'demo';
const ACCOUNTS = __ENV.ACCOUNTS || './purser-data/demo-accounts.json';

const BALANCE_URL = `${BASE_URL}/v1.0/balance`;
const REDEEM_TOKEN_URL = `${BASE_URL}/v1.0/session/redeemtoken`;

export const options = {
  scenarios: {
    reference: { executor: 'constant-vus', vus: VUS, duration: DURATION },
  },
  summaryTrendStats: ['avg', 'min', 'med', 'max', 'p(90)', 'p(95)', 'p(99)'],
  thresholds: {
    // A fast wrong answer is no answer: a run with one of them has failed.
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    // The reference's own figures, in milliseconds: slower than these is a failure.
    // The two with a tag also make k6 show the figures of each request type.
    http_req_duration: ['p(95)<112.31'],
    'http_req_duration{requestType:balance}': ['p(95)<118.10'],
    'http_req_duration{requestType:redeemToken}': ['p(95)<95.19'],
    // Always true, by intention. k6 shows the figures of a tag only where a threshold
    // names it, and these ask for nothing but that.
    'http_reqs{requestType:balance}': ['count>=0'],
    'http_reqs{requestType:redeemToken}': ['count>=0'],
    'group_duration{group:::balance::balance}': ['p(95)>=0'],
    'group_duration{group:::redeemToken::redeemToken}': ['p(95)>=0'],
  },
};

// One copy for all virtual users: [{ OperatorAccountID, SessionKey }, ...].
const accounts = new SharedArray('accounts', () => {
  const path = fromWorkingDirectory(ACCOUNTS);
  let text;
  try {
    text = open(path);
  } catch (error) {
    throw new Error(
      `ACCOUNTS: cannot read ${path} (${error}); start \`purser serve --demo\` in this ` +
        'directory, or name the demo-accounts.json of its data directory',
    );
  }
  const list = JSON.parse(text);
  if (!Array.isArray(list) || list.length === 0) {
    throw new Error(`ACCOUNTS: no accounts in ${path}`);
  }
  return list;
});

// open() starts from the script's directory; people mean the one they are in.
function fromWorkingDirectory(path) {
  if (path.startsWith('/') || path.includes('://')) {
    return path;
  }
  // Without the shell's PWD we take the repository's root, two levels up.
  return __ENV.PWD ? `${__ENV.PWD}/${path}` : `../../${path}`;
}

const headers = {
  Authorization: `Basic ${encoding.b64encode(`${USERNAME}:${PASSWORD}`)}`,
  'Content-Type': 'application/json',
};
const balanceParams = { headers, tags: { requestType: 'balance' } };
const redeemTokenParams = { headers, tags: { requestType: 'redeemToken' } };

export default function () {
  const vu = exec.vu.idInTest;
  const iteration = exec.vu.iterationInScenario;
  // Users start at different accounts and walk through all of them.
  const account = accounts[(vu * 7919 + iteration) % accounts.length];
  const sequence = `k6-${vu}-${iteration}`;

  group('balance', () => {
    group('balance', () => {
      const body = JSON.stringify({
        PlatformKey: 'K6',
        Sequence: sequence,
        Timestamp: new Date().toISOString(),
        OperatorAccountID: account.OperatorAccountID,
      });
      judge(http.post(BALANCE_URL, body, balanceParams));
    });
  });

  group('redeemToken', () => {
    group('redeemToken', () => {
      const body = JSON.stringify({
        PlatformKey: 'K6',
        Sequence: sequence,
        Timestamp: new Date().toISOString(),
        SessionToken: freshToken(account.SessionKey),
        IPAddress: '203.0.113.7',
      });
      judge(http.post(REDEEM_TOKEN_URL, body, redeemTokenParams));
    });
  });
}

// Session key, '-', Unix milliseconds in lower-case hexadecimal (protocol, section 6).
function freshToken(sessionKey) {
  return `${sessionKey}-${Date.now().toString(16)}`;
}

// The names are the reference's, so that reports can be laid side by side.
function judge(response) {
  check(response, {
    'is status 200': (r) => r.status === 200,
    'is body errorCode 0': (r) => errorCodeOf(r) === 0,
  });
}

function errorCodeOf(response) {
  try {
    return response.json('ErrorCode');
  } catch {
    // No body, or one that is not JSON: there is no code in it.
    return undefined;
  }
}
