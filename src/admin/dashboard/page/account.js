// The search for one account: what it holds, its limits, and its transactions, newest
// first.

import { get } from "./api.js";
import { Table, announce, byId, el, fill, setText } from "./dom.js";
import * as format from "./format.js";

/** Transactions asked for at once. */
const PAGE_ROWS = 10;

const COLUMNS = [
  { key: "at", label: "Time", isText: true },
  { key: "kind", label: "Kind", isText: true },
  { key: "amount", label: "Amount" },
  { key: "cash", label: "Cash after" },
  { key: "bonus", label: "Bonus after" },
  { key: "game", label: "Game", isText: true },
  { key: "round", label: "Round", isText: true },
  { key: "id", label: "Transaction", isText: true },
];

export class AccountSearch {
  constructor() {
    this.table = new Table(byId("transactions"), "Transactions, newest first", COLUMNS);
    byId("account-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.show(byId("account-id").value.trim());
    });
    byId("older").addEventListener("click", () => this.older());
    this.clear();
  }

  clear() {
    this.rows = [];
    this.before = null;
    byId("account").hidden = true;
    setText(byId("account-note"), "");
    fill(byId("account-facts"));
    this.table.draw([]);
  }

  /** Looks an account up, as if somebody had typed its id. */
  async show(id) {
    this.abort?.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    byId("account-id").value = id;
    this.clear();
    byId("account-form").scrollIntoView({ block: "nearest" });
    const slash = id.indexOf("/");
    if (slash < 1 || slash === id.length - 1) {
      this.fail("An account is its domain and its player: demo/player-1.");
      return;
    }
    this.path = `accounts/${encodeURIComponent(id.slice(0, slash))}/${encodeURIComponent(id.slice(slash + 1))}`;
    try {
      const [account, page] = await Promise.all([get(this.path, signal), get(this.page(), signal)]);
      this.drawFacts(account);
      this.take(page);
      byId("account").hidden = false;
      announce(`Account ${account.OperatorAccountID}: cash ${account.CashFunds} ${account.CurrencyCode}, ${this.rows.length} transactions shown`);
    } catch (error) {
      if (error.name !== "AbortError") {
        this.fail(error.message);
      }
    }
  }

  async older() {
    const button = byId("older");
    button.disabled = true;
    try {
      this.take(await get(`${this.page()}&before=${encodeURIComponent(this.before)}`, this.abort.signal));
      announce(`${this.rows.length} transactions shown`);
    } catch (error) {
      if (error.name !== "AbortError") {
        this.fail(error.message);
      }
    } finally {
      button.disabled = false;
    }
  }

  page() {
    return `${this.path}/transactions?limit=${PAGE_ROWS}`;
  }

  fail(message) {
    setText(byId("account-note"), message);
    announce(message);
  }

  take(page) {
    this.rows.push(...page.Transactions);
    this.before = page.Before;
    byId("older").hidden = this.before === null;
    byId("transactions").hidden = this.rows.length === 0;
    byId("transactions-none").hidden = this.rows.length > 0;
    this.table.draw(
      this.rows.map((row, at) => ({
        key: String(at),
        cells: {
          at: format.moment(row.At),
          kind: row.Kind,
          amount: format.money(row.Amount),
          cash: format.money(row.CashFunds),
          bonus: format.money(row.BonusFunds),
          game: row.GameID ?? "",
          round: row.GameRoundID ?? "",
          id: row.OriginalTransactionID
            ? `${row.TransactionID} (of ${row.OriginalTransactionID})`
            : row.TransactionID,
        },
      })),
    );
  }

  drawFacts(account) {
    const currency = account.CurrencyCode;
    const limits = account.Limits ?? {};
    const limit = (text) => (text === null || text === undefined ? "none" : `${format.money(text)} ${currency}`);
    const facts = [
      ["Account", account.OperatorAccountID],
      ["Cash funds", `${format.money(account.CashFunds)} ${currency}`],
      ["Bonus funds", `${format.money(account.BonusFunds)} ${currency}`],
      ["Open rounds", format.count(account.OpenRounds)],
      ["Status", account.Status, account.Status === "Active" ? "good" : "warn"],
      ["Country", account.CountryCode],
      ["Created", format.moment(account.CreatedAt).slice(0, 19)],
      ["Loss limit, day", limit(limits.LossDaily)],
      ["Loss limit, week", limit(limits.LossWeekly)],
      ["Loss limit, month", limit(limits.LossMonthly)],
      ["Session limit", limits.SessionSeconds ? format.age(limits.SessionSeconds) : "none"],
    ];
    fill(
      byId("account-facts"),
      ...facts.map(([label, value, mood]) =>
        el("div", {}, el("dt", {}, label), el("dd", { "data-mood": mood ?? null }, value)),
      ),
    );
  }
}
