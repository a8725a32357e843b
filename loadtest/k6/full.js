// The full mix of what a game platform asks for: every flow of a round, sessions, voids,
// credits and answers to alerts, while the reference asks for balances and tokens only.
//
// Every virtual user plays the flows one behind the other, without a pause, each in a
// group of its own; a user waits for each answer before it goes on. Rounds and
// transaction ids are new each time, so every booking is booked.
//
// The stakes of the flows that lose are paid back by those that win and by voids and
// credits of the same pass: a run of any length leaves every account above where it began.
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
const CURRENCY = __ENV.CURRENCY || 'EUR';

// By the tag `requestType` that each request carries.
const PATHS = {
  balance: '/v1.0/balance',
  redeemToken: '/v1.0/session/redeemtoken',
  createToken: '/v1.0/session/createtoken',
  placeBet: '/v1.0/gameround/placebet',
  awardWinnings: '/v1.0/gameround/awardwinnings',
  rollbackBet: '/v1.0/gameround/rollbackbet',
  voidBet: '/v1.0/gameround/voidbet',
  end: '/v1.0/gameround/end',
  alert: '/v1.0/alertwalletcallbacknotification',
  credit: '/v1.0/accounttransaction/credit',
};

// What one virtual user does, in this order. A name says what follows what.
const FLOWS = {
  balance: (play) => play.balance(),
  redeemToken: (play) => play.redeemToken(),
  createToken: (play) => play.createToken(),
  'balance-bet': (play) => {
    play.balance();
    play.bet('1.00');
  },
  'bet-end': (play) => {
    play.bet('1.00');
    play.end();
  },
  'balance-bet-end': (play) => {
    play.balance();
    play.bet('1.00');
    play.end();
  },
  'bet-win': (play) => {
    play.bet('1.00');
    play.win('3.00');
  },
  'balance-bet-win-end': (play) => {
    play.balance();
    play.bet('1.00');
    play.win('3.00');
    play.end();
  },
  'bet-rollback': (play) => {
    play.bet('1.00');
    play.rollback('1.00');
  },
  'balance-bet-rollback-end': (play) => {
    play.balance();
    play.bet('1.00');
    play.rollback('1.00');
    play.end();
  },
  'balance-bet-end-rollback': (play) => {
    play.balance();
    play.bet('1.00');
    play.end();
    play.rollback('1.00');
  },
  void: (play) => play.void('0.50'),
  alert: (play) => play.alert(),
  credit: (play) => play.credit('0.50'),
};

export const options = {
  scenarios: {
    full: { executor: 'constant-vus', vus: VUS, duration: DURATION },
  },
  summaryTrendStats: ['avg', 'min', 'med', 'max', 'p(90)', 'p(95)', 'p(99)'],
  thresholds: {
    // A fast wrong answer is no answer: a run with one of them has failed.
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    // The reference's own figure, in milliseconds: slower than this is a failure.
    http_req_duration: ['p(95)<112.31'],
    ...eachRequestTypeIsShown(),
  },
};

// Always true, by intention. k6 shows the figures of a tag only where a threshold names
// it, and these ask for nothing but that.
function eachRequestTypeIsShown() {
  const thresholds = {};
  for (const requestType of Object.keys(PATHS)) {
    thresholds[`http_req_duration{requestType:${requestType}}`] = ['p(95)>=0'];
    thresholds[`http_reqs{requestType:${requestType}}`] = ['count>=0'];
  }
  return thresholds;
}

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

// Ids of one run must not be those of another: their bookings would be repeats. The
// moment tells runs apart, and users of one run by their number.
export function setup() {
  return { run: Date.now().toString(36) };
}

export default function ({ run }) {
  const vu = exec.vu.idInTest;
  const iteration = exec.vu.iterationInScenario;
  // Users start at different accounts and walk through all of them.
  const account = accounts[(vu * 7919 + iteration) % accounts.length];
  Object.entries(FLOWS).forEach(([name, flow], place) => {
    // At most 50 characters with the kind of a booking behind it.
    const play = new Play(account, `${run}-${vu}-${iteration}-${place}`);
    group(name, () => flow(play));
  });
}

// One round of one player; its ids begin with `id`.
class Play {
  constructor(account, id) {
    this.account = account;
    this.id = id;
  }

  balance() {
    this.post('balance', {});
  }

  createToken() {
    this.post('createToken', { GameID: 'k6-game' });
  }

  redeemToken() {
    post('redeemToken', {
      PlatformKey: 'K6',
      Sequence: this.id,
      Timestamp: new Date().toISOString(),
      SessionToken: freshToken(this.account.SessionKey),
      IPAddress: '203.0.113.7',
    });
  }

  bet(amount) {
    this.book('placeBet', 'b', amount, {
      StartRound: true,
      JackpotContribution: '0.00012345',
    });
  }

  win(amount) {
    this.book('awardWinnings', 'w', amount, { StartRound: false });
  }

  rollback(amount) {
    this.book('rollbackBet', 'k', amount, {
      OriginalBetGameRoundTransactionID: `${this.id}-b`,
    });
  }

  void(amount) {
    this.book('voidBet', 'v', amount, {});
  }

  end() {
    this.post('end', { ...this.round(), CurrencyCode: CURRENCY });
  }

  credit(amount) {
    this.post('credit', {
      AccountTransactionID: this.id,
      AccountTransactionTypeID: 'k6',
      CurrencyCode: CURRENCY,
      Amount: amount,
    });
  }

  alert() {
    this.post('alert', {
      GatewaySessionToken: this.account.SessionKey,
      Source: 'k6',
      Type: 'reality-check',
    });
  }

  round() {
    return {
      GameRoundID: this.id,
      GameID: 'k6-game',
      GatewaySessionToken: this.account.SessionKey,
    };
  }

  book(requestType, kind, amount, members) {
    this.post(requestType, {
      ...this.round(),
      GameRoundTransactionID: `${this.id}-${kind}`,
      CurrencyCode: CURRENCY,
      Amount: amount,
      EndRound: false,
      ...members,
    });
  }

  post(requestType, members) {
    post(requestType, {
      PlatformKey: 'K6',
      Sequence: this.id,
      Timestamp: new Date().toISOString(),
      OperatorAccountID: this.account.OperatorAccountID,
      ...members,
    });
  }
}

function post(requestType, members) {
  const params = { headers, tags: { requestType } };
  judge(http.post(`${BASE_URL}${PATHS[requestType]}`, JSON.stringify(members), params));
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
