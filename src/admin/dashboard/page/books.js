// The trial balance: what players hold and where it came from, which sums to zero.

import { get } from "./api.js";
import { Table, announce, byId, setText } from "./dom.js";
import * as format from "./format.js";

export class Books {
  constructor() {
    this.names = "";
    byId("books-refresh").addEventListener("click", () => this.refreshNow());
  }

  /** Because somebody asked: says how it went. */
  async refreshNow() {
    const button = byId("books-refresh");
    button.disabled = true;
    try {
      await this.refresh();
      announce(byId("books-note").textContent);
    } catch (error) {
      setText(byId("books-note"), error.message);
    } finally {
      button.disabled = false;
      button.focus();
    }
  }

  async refresh(signal) {
    const answer = await get("trial-balance", signal);
    const domains = answer.Domains ?? [];
    this.draw(domains);
    const off = domains.filter((domain) => !format.isZero(domain.Total)).length;
    const verdict = off === 0 ? "All totals are zero" : `${off} totals are not zero: money was made or lost`;
    setText(byId("books-note"), `${verdict}. As of ${format.timeOfDay(new Date().toISOString()).slice(0, 8)}.`);
    byId("books-note").dataset.mood = off === 0 ? "good" : "bad";
  }

  draw(domains) {
    const names = [...new Set(domains.flatMap((domain) => Object.keys(domain.Accounts)))];
    // The house accounts are the server's to name; their columns come once.
    if (this.names !== names.join()) {
      this.names = names.join();
      this.table = new Table(byId("books"), "Trial balance, by domain and currency", [
        { key: "domain", label: "Domain", isText: true, isHead: true },
        ...names.map((name) => ({ key: `of ${name}`, label: format.words(name) })),
        { key: "total", label: "Total" },
      ]);
    }
    this.table?.draw(
      domains.map((domain) => ({
        key: `${domain.Domain} ${domain.CurrencyCode}`,
        cells: {
          domain: `${domain.Domain}, ${domain.CurrencyCode}`,
          ...Object.fromEntries(names.map((name) => [`of ${name}`, format.money(domain.Accounts[name])])),
          total: {
            text: format.money(domain.Total),
            mood: format.isZero(domain.Total) ? "good" : "bad",
          },
        },
      })),
    );
  }
}
